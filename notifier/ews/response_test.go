package ews

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var received = time.Date(2025, 3, 4, 9, 15, 27, 0, time.UTC)

func TestSubscribeReturnsTheID(t *testing.T) {
	id, err := clientFor(t, saying(t, "subscribe_response.xml")).Subscribe(t.Context(), Caller{}, NewMailEvent)
	if want := SubscriptionID("DwBiZTEuY29udG9zby5jb20QAAAAOywdb1lKh06bHA0uP0BRYtXEs6LxWt0I"); err != nil || id != want {
		t.Errorf("got %q, %v; want %q", id, err, want)
	}
}

func TestUnsubscribeTakesSuccess(t *testing.T) {
	if err := clientFor(t, saying(t, "unsubscribe_response.xml")).Unsubscribe(t.Context(), Caller{}, "DwBiZTEu1"); err != nil {
		t.Error(err)
	}
}

func TestGetItemGivesOneResultForEveryID(t *testing.T) {
	got, err := clientFor(t, saying(t, "getitem_response.xml")).GetItem(t.Context(), Caller{}, []ItemID{"AAMkAGI0=", "AAMkGONE="})
	if err != nil || len(got) != 2 {
		t.Fatalf("%d results, %v", len(got), err)
	}
	want := Item{
		ID: "AAMkAGI0=", ChangeKey: "CQAAABYA", ParentFolder: "AQMkAGI1=", Class: "IPM.Note", Subject: "Quarterly figures",
		Preview: "Here are the numbers you asked for", Received: received, Importance: "Normal",
		FromName: "Bob Example", FromAddress: "bob@contoso.com", SenderName: "Bob Example", SenderAddress: "bob@contoso.com", RoutingType: "SMTP",
	}
	if got[0].Err != nil || got[0].Item != want {
		t.Errorf("got  %+v, %v\nwant %+v", got[0].Item, got[0].Err, want)
	}
	e, ok := errors.AsType[*ResponseError](got[1].Err)
	if !ok || e.Code != "ErrorItemNotFound" || e.HTTPStatus != 200 || got[1].Item != (Item{}) {
		t.Errorf("second result %+v, want ErrorItemNotFound", got[1])
	}
}

func TestItemsOfAllClassesAreRead(t *testing.T) {
	got, err := clientFor(t, saying(t, "getitem_classes_response.xml")).GetItem(t.Context(), Caller{}, []ItemID{"meet=", "ndr=", "post="})
	if err != nil {
		t.Fatal(err)
	}
	want := []Item{
		{
			ID: "meet=", Class: "IPM.Schedule.Meeting.Request", Subject: "Stand-up & \ufffdcoffee 😀", Received: received.Add(time.Second), Read: true,
			FromName: "Ann <PM>", FromAddress: "/O=CONTOSO/OU=FIRST/CN=RECIPIENTS/CN=ANN", RoutingType: "EX",
		},
		{ID: "ndr=", Class: "REPORT.IPM.Note.NDR", SenderName: "Microsoft Outlook", SenderAddress: "postmaster@contoso.com", RoutingType: "SMTP"},
		{ID: "post=", Subject: " a < b & c "},
	}
	for i, w := range want {
		if got[i].Err != nil || got[i].Item != w {
			t.Errorf("item %d: got %+v, %v\nwant %+v", i, got[i].Item, got[i].Err, w)
		}
	}
}

// idsIn are the items a GetItem request asks for.
func idsIn(r *http.Request) (ids []string) {
	body, _ := io.ReadAll(r.Body)
	for _, part := range strings.Split(string(body), `<t:ItemId Id="`)[1:] {
		id, _, _ := strings.Cut(part, `"`)
		ids = append(ids, id)
	}
	return ids
}

func found(id string) string {
	return `<m:GetItemResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode><m:Items><t:Message><t:ItemId Id="` + id + `"/></t:Message></m:Items></m:GetItemResponseMessage>`
}

func untried() string {
	return `<m:GetItemResponseMessage ResponseClass="Warning"><m:MessageText>Processing of the batch was stopped.</m:MessageText><m:ResponseCode>ErrorBatchProcessingStopped</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey><m:Items/></m:GetItemResponseMessage>`
}

func itemIDs(n int) []ItemID {
	ids := make([]ItemID, n)
	for i := range ids {
		ids[i] = ItemID(fmt.Sprintf("item%d", i))
	}
	return ids
}

func TestGetItemAsksForTenAtATimeAndKeepsTheOrder(t *testing.T) {
	var sizes []int
	c := clientFor(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ids := idsIn(r)
		sizes = append(sizes, len(ids))
		var messages []string
		for _, id := range ids {
			messages = append(messages, found(id))
		}
		_, _ = w.Write(reply("GetItem", messages...))
	}))
	ids := itemIDs(23)
	got, err := c.GetItem(t.Context(), Caller{}, ids)
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range ids {
		if got[i].Err != nil || got[i].Item.ID != id {
			t.Errorf("result %d is %+v, want %s", i, got[i], id)
		}
	}
	if !reflect.DeepEqual(sizes, []int{10, 10, 3}) {
		t.Errorf("requests of %v items, want 10, 10, 3", sizes)
	}
}

func TestUntriedItemsAreAskedForAgain(t *testing.T) {
	var requests [][]string
	c := clientFor(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ids := idsIn(r)
		requests = append(requests, ids)
		var messages []string
		for i, id := range ids { // tries two, the second of which is gone
			switch i {
			case 0:
				messages = append(messages, found(id))
			case 1:
				messages = append(messages, refusal("GetItem", "ErrorItemNotFound", "The specified object was not found in the store."))
			default:
				messages = append(messages, untried())
			}
		}
		_, _ = w.Write(reply("GetItem", messages...))
	}))
	got, err := c.GetItem(t.Context(), Caller{}, itemIDs(5))
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range got {
		switch {
		case i%2 == 0 && (r.Err != nil || r.Item.ID != itemIDs(5)[i]):
			t.Errorf("result %d: %+v, want the item", i, r)
		case i%2 == 1 && React(r.Err) != Nothing:
			t.Errorf("result %d: %+v, want gone", i, r)
		}
	}
	if want := [][]string{{"item0", "item1", "item2", "item3", "item4"}, {"item2", "item3", "item4"}, {"item4"}}; !reflect.DeepEqual(requests, want) {
		t.Errorf("requests %v, want %v", requests, want)
	}
}

func TestServerThatTriesNothingIsNotAskedForEver(t *testing.T) {
	requests := 0
	c := clientFor(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		var messages []string
		for i, id := range idsIn(r) {
			if requests == 1 && i == 0 {
				messages = append(messages, found(id))
			} else {
				messages = append(messages, untried())
			}
		}
		_, _ = w.Write(reply("GetItem", messages...))
	}))
	got, err := c.GetItem(t.Context(), Caller{}, itemIDs(3))
	if err != nil || requests != 2 {
		t.Fatalf("%d requests, %v; want 2, the second without progress", requests, err)
	}
	if got[0].Err != nil || React(got[1].Err) != BackOff || React(got[2].Err) != BackOff {
		t.Errorf("results %+v, want the first read and the others to be repeated", got)
	}
}

func TestFindItemsReadsAPage(t *testing.T) {
	got, err := clientFor(t, saying(t, "finditem_response.xml")).FindItems(t.Context(), Caller{}, FindRequest{})
	want := FindPage{Items: []FoundItem{{ID: "AAMkAGI0=", Received: received, Read: true, Class: "IPM.Note"}}, NextOffset: 1, Total: 7}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	got, err = clientFor(t, saying(t, "finditem_empty_response.xml")).FindItems(t.Context(), Caller{}, FindRequest{Offset: 50})
	if want := (FindPage{NextOffset: 50, Last: true}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("empty page: got %+v, %v\nwant %+v", got, err, want)
	}
}

func TestNextOffsetGoesOnWithoutTheServersHelp(t *testing.T) {
	c := clientFor(t, answering(200, "text/xml", bytes.Replace(sample(t, "finditem_response.xml"), []byte(`IndexedPagingOffset="1"`), nil, 1)))
	if got, err := c.FindItems(t.Context(), Caller{}, FindRequest{Offset: 50}); err != nil || got.NextOffset != 51 || got.Last {
		t.Errorf("next offset %d, last %v, %v; want 51 and more", got.NextOffset, got.Last, err)
	}
}

func TestSyncFolderItemsSortsTheChanges(t *testing.T) {
	got, err := clientFor(t, saying(t, "syncfolderitems_response.xml")).SyncFolderItems(t.Context(), Caller{}, SyncRequest{State: "H4sIAAAA"})
	want := SyncPage{
		State: "H4sIAAAB", Last: true, Created: []FoundItem{{ID: "AAMkAGI0=", Received: received}, {ID: "AAMkAGI4=", Draft: true, Read: true}},
		Updated: []FoundItem{{ID: "AAMkAGI1="}}, Deleted: []ItemID{"AAMkAGI3="}, ReadFlags: map[ItemID]bool{"AAMkAGI2=": true},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

func TestGetFolderReadsTagsInHexAndDecimal(t *testing.T) {
	want := Folder{ID: "AQMkAGI1=", Unread: 7, Total: 120, LastChange: received, DeletedTotal: 41}
	for _, name := range []string{"getfolder_response.xml", "getfolder_decimal_response.xml"} {
		if got, err := clientFor(t, saying(t, name)).GetFolder(t.Context(), Caller{}); err != nil || got != want {
			t.Errorf("%s: got %+v, %v\nwant %+v", name, got, err, want)
		}
	}
	bare := reply("GetFolder", `<m:GetFolderResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode><m:Folders><t:Folder><t:FolderId Id="F"/></t:Folder></m:Folders></m:GetFolderResponseMessage>`)
	if got, err := clientFor(t, answering(200, "text/xml", bare)).GetFolder(t.Context(), Caller{}); err != nil || got != (Folder{ID: "F", Unread: -1, Total: -1, DeletedTotal: -1}) {
		t.Errorf("a folder that tells nothing: %+v, %v", got, err)
	}
}

func TestSuccessMustHoldWhatWasAskedFor(t *testing.T) {
	empty := func(op string) []byte {
		return reply(op, `<m:`+op+`ResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode></m:`+op+`ResponseMessage>`)
	}
	for _, op := range operations {
		switch op.name {
		case "Unsubscribe", "GetStreamingEvents":
			continue // have nothing to hold
		}
		err := op.call(t.Context(), clientFor(t, answering(200, "text/xml", empty(op.name))), Caller{})
		if _, ok := errors.AsType[*SyntaxError](err); !ok || !strings.Contains(err.Error(), op.name) {
			t.Errorf("%s: error %v, want a SyntaxError that names the operation", op.name, err)
		}
	}
}

func TestNonsenseIsAnErrorOfItsOwn(t *testing.T) {
	ok := string(reply("Unsubscribe", `<m:UnsubscribeResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode></m:UnsubscribeResponseMessage>`))
	tests := map[string]string{
		"nothing":                "",
		"no XML":                 "It works!",
		"cut short":              ok[:len(ok)-20],
		"another operation":      strings.ReplaceAll(ok, "Unsubscribe", "Subscribe"),
		"no messages":            string(reply("Unsubscribe")),
		"another root":           "<note/>",
		"tags that do not nest":  strings.Replace(ok, "</s:Body>", "</s:Bodies>", 1),
		"a document type":        `<!DOCTYPE Envelope [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>` + ok,
		"nested without end":     `<s:Envelope>` + strings.Repeat("<a>", 1_000_000),
		"attributes without end": `<s:Envelope` + strings.Repeat(` a=""`, 1_000_000) + `/>`,
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			err := clientFor(t, answering(200, "text/xml", []byte(body))).Unsubscribe(t.Context(), Caller{}, "x")
			if _, ok := errors.AsType[*SyntaxError](err); !ok || React(err) != BackOff || len(err.Error()) > 300 {
				t.Errorf("error %v (%v), want a short SyntaxError and back-off", err, React(err))
			}
		})
	}
}

func TestEndlessAnswerIsLeft(t *testing.T) {
	var sent atomic.Int64
	c := clientFor(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "<Envelope>")
		chunk := bytes.Repeat([]byte("<a/>"), 16<<10)
		for sent.Load() < 4*AnswerSizeMax {
			n, err := w.Write(chunk)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}))
	err := c.Unsubscribe(t.Context(), Caller{}, "x")
	if err == nil || !strings.Contains(err.Error(), "more than") || sent.Load() >= 4*AnswerSizeMax {
		t.Errorf("error %v after %d bytes", err, sent.Load())
	}
}
