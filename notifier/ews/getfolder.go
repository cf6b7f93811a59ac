package ews

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Folder is the state of the Inbox.
type Folder struct {
	ID           string
	Unread       int
	Total        int
	LastChange   time.Time // PR_LOCAL_COMMIT_TIME_MAX; zero when the server tells none
	DeletedTotal int       // PR_DELETED_COUNT_TOTAL
}

// GetFolder reads the counts of the Inbox, and two properties that change with
// everything that happens in it (EWS "Handling notification-related errors in
// EWS in Exchange").
func (c *Client) GetFolder(ctx context.Context, who Caller) (Folder, error) {
	payload, err := c.call(ctx, who, "GetFolder", c.envelope(who, func(b []byte) []byte {
		return append(b, `<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties><t:FieldURI FieldURI="folder:UnreadCount"/><t:FieldURI FieldURI="folder:TotalCount"/><t:ExtendedFieldURI PropertyTag="0x670a" PropertyType="SystemTime"/><t:ExtendedFieldURI PropertyTag="0x670b" PropertyType="Integer"/></t:AdditionalProperties></m:FolderShape><m:FolderIds><t:DistinguishedFolderId Id="inbox"/></m:FolderIds></m:GetFolder>`...)
	}))
	if err != nil {
		return Folder{}, err
	}
	m, err := only("GetFolder", payload)
	if err != nil {
		return Folder{}, err
	}
	folders := m.child("Folders")
	if folders == nil || len(folders.kids) == 0 {
		return Folder{}, fmt.Errorf("ews: GetFolder: success without a folder")
	}
	n := folders.kids[0]
	f := Folder{ID: n.child("FolderId").attr("Id")}
	f.Unread, err = strconv.Atoi(n.value("UnreadCount"))
	if err != nil {
		return Folder{}, fmt.Errorf("ews: GetFolder: UnreadCount is no number")
	}
	f.Total, _ = strconv.Atoi(n.value("TotalCount")) // absent: not known
	for _, k := range n.kids {
		if k.name != "ExtendedProperty" {
			continue
		}
		switch strings.ToLower(k.child("ExtendedFieldURI").attr("PropertyTag")) {
		case "0x670a", "26378":
			f.LastChange = parseTime(k.value("Value"))
		case "0x670b", "26379":
			f.DeletedTotal, _ = strconv.Atoi(k.value("Value")) // absent: not known
		}
	}
	return f, nil
}
