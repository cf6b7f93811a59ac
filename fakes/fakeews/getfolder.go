package fakeews

import (
	"fmt"

	"mailbell/fakes/exchange"
)

// Property tags that Microsoft names for the cheap gap test ("Handling
// notification-related errors in EWS in Exchange").
const (
	tagLocalCommitTimeMax = 0x670a // PR_LOCAL_COMMIT_TIME_MAX
	tagDeletedCountTotal  = 0x670b // PR_DELETED_COUNT_TOTAL
)

// getFolder serves GetFolder: one response message a folder.
func (c *call) getFolder() ([]byte, *fault) {
	body := c.request.body
	s, f := c.readShape(body.child("FolderShape"))
	if f != nil {
		return nil, f
	}
	folders := body.child("FolderIds")
	if folders == nil || len(folders.children) == 0 {
		return nil, invalid(body, "The element 'GetFolder' has incomplete content. List of possible elements expected: 'FolderIds'.")
	}
	refs, f := references(folders)
	if f != nil {
		return nil, f
	}
	d := answer(c.form, c.server.behaviour, "GetFolder")
	d.open("m:ResponseMessages")
	for _, ref := range refs {
		target, e := c.target([]reference{ref})
		if e == nil {
			e = c.refusal()
		}
		var folder exchange.Folder
		if e == nil {
			folder, e = c.server.org.GetFolder(target, ref.folder)
		}
		if e != nil {
			c.entry.Reason = e.Code
			d.refusal("GetFolder", e, "m:Folders")
			continue
		}
		d.success("GetFolder")
		d.open("m:Folders")
		writeFolder(d, folder, s)
		d.close("m:Folders")
		d.close("m:GetFolderResponseMessage")
	}
	d.close("m:ResponseMessages")
	return d.finish("GetFolder"), nil
}

// writeFolder writes a folder in the order of the schema.
func writeFolder(d *doc, f exchange.Folder, s shape) {
	d.open("t:Folder")
	d.empty("t:FolderId", "Id", f.ID, "ChangeKey", f.ChangeKey)
	if s.fields["folder:ParentFolderId"] && f.ParentID != "" {
		d.empty("t:ParentFolderId", "Id", f.ParentID, "ChangeKey", f.ParentKey)
	}
	if s.fields["folder:FolderClass"] {
		d.text("t:FolderClass", "IPF.Note")
	}
	if s.fields["folder:DisplayName"] {
		d.text("t:DisplayName", f.DisplayName)
	}
	if s.fields["folder:TotalCount"] {
		d.text("t:TotalCount", fmt.Sprint(f.Total))
	}
	if s.fields["folder:ChildFolderCount"] {
		d.text("t:ChildFolderCount", fmt.Sprint(f.Children))
	}
	for _, x := range s.extended {
		var value string
		switch x.tag {
		case tagLocalCommitTimeMax:
			value = f.Changed.Format("2006-01-02T15:04:05Z")
		case tagDeletedCountTotal:
			value = fmt.Sprint(f.Deleted)
		default:
			continue
		}
		d.open("t:ExtendedProperty")
		d.empty("t:ExtendedFieldURI", "PropertyTag", fmt.Sprintf("0x%x", x.tag), "PropertyType", x.node.attr("PropertyType"))
		d.text("t:Value", value)
		d.close("t:ExtendedProperty")
	}
	if s.fields["folder:UnreadCount"] {
		d.text("t:UnreadCount", fmt.Sprint(f.Unread))
	}
	d.close("t:Folder")
}
