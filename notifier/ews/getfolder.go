package ews

import (
	"context"
	"strconv"
	"time"
)

// Folder is the Inbox as a whole.
type Folder struct {
	ID     string
	Unread int // -1: not told
	Total  int // -1: not told
	// LastChange is when anything in the folder changed last, DeletedTotal how
	// many items were ever deleted from it (EWS "Handling notification-related
	// errors in EWS in Exchange": PR_LOCAL_COMMIT_TIME_MAX, 0x670a, and
	// PR_DELETED_COUNT_TOTAL, 0x670b). Both as before: nothing was missed. Zero
	// and -1: not told.
	LastChange   time.Time
	DeletedTotal int
}

// The two property tags. Servers write them in hexadecimal or decimal.
const (
	tagLocalCommitTimeMax = 0x670a
	tagDeletedCountTotal  = 0x670b
)

// GetFolder reads the Inbox's counts and the marks of its last change (EWS
// reference "GetFolder operation").
func (c *Client) GetFolder(ctx context.Context, who Caller) (Folder, error) {
	const operation = "GetFolder"
	var o outcome
	f := Folder{Unread: -1, Total: -1, DeletedTotal: -1}
	err := c.postOne(ctx, who, operation, getFolderRequest(c.version, who), &o, func(s *scanner) {
		if !s.is("Folders") {
			s.skip()
			return
		}
		for s.child() {
			f.read(s)
		}
	})
	switch {
	case err != nil:
		return Folder{}, err
	case f.ID == "":
		return Folder{}, &SyntaxError{Operation: operation, Reason: "a success without a folder"}
	}
	return f, nil
}

func getFolderRequest(v Version, who Caller) []byte {
	b := beginEnvelope(v, who.Impersonate)
	b = append(b, `<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>`+
		`<t:FieldURI FieldURI="folder:UnreadCount"/><t:FieldURI FieldURI="folder:TotalCount"/>`+
		`<t:ExtendedFieldURI PropertyTag="0x670a" PropertyType="SystemTime"/>`+
		`<t:ExtendedFieldURI PropertyTag="0x670b" PropertyType="Integer"/>`+
		`</t:AdditionalProperties></m:FolderShape><m:FolderIds>`+inbox+`</m:FolderIds></m:GetFolder>`...)
	return endEnvelope(b)
}

// read reads the folder just entered.
func (f *Folder) read(s *scanner) {
	for s.child() {
		switch string(s.name) {
		case "FolderId":
			f.ID = folderID(s)
		case "TotalCount":
			f.Total = count(s.value(), -1)
		case "UnreadCount":
			f.Unread = count(s.value(), -1)
		case "ExtendedProperty":
			f.readExtended(s)
		default:
			s.skip()
		}
	}
}

func (f *Folder) readExtended(s *scanner) {
	var tag uint64
	var value string
	for s.child() {
		switch string(s.name) {
		case "ExtendedFieldURI":
			tag, _ = strconv.ParseUint(string(s.attr("PropertyTag")), 0, 16)
			s.skip()
		case "Value":
			value = string(s.value())
		default:
			s.skip()
		}
	}
	switch tag {
	case tagLocalCommitTimeMax:
		f.LastChange = when([]byte(value))
	case tagDeletedCountTotal:
		f.DeletedTotal = count([]byte(value), -1)
	}
}
