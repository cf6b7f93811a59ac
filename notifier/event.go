package notifier

import "time"

// ItemID is an Exchange item ID: opaque, at most 512 bytes, compared with case
// (EWS "EWS identifiers in Exchange"). It changes when the item moves to
// another folder.
type ItemID string

// Source says how an item was noticed.
type Source string

// The ways in which an item is noticed.
const (
	FromStream  Source = "stream"   // a streaming notification told of it
	FromCatchUp Source = "catch-up" // found by comparing the mailbox with its bookmark after a gap
	FromAudit   Source = "audit"    // found by the slow sweep: something upstream lost it
)

// Event is a hint to look at an item of a mailbox's Inbox. The mailbox is the
// truth: the item may be gone, and the same item may be hinted at twice.
type Event struct {
	Mailbox Mailbox   `json:"mailbox"`
	Item    ItemID    `json:"item"`
	Source  Source    `json:"source"`
	Noticed time.Time `json:"noticed"` // when Mailbell learnt of it
	// Flood is when the gap began in which so much mail came that all of it is
	// announced together; zero: this mail is announced by itself. Then Received is
	// known too, since nobody is going to look at the item.
	Flood    time.Time `json:"flood,omitzero"`
	Received time.Time `json:"received,omitzero"`
}

// Elsewhere says what happened to a mailbox's Inbox besides new mail: its owner
// read, moved or deleted something with another program.
type Elsewhere struct {
	Mailbox Mailbox   `json:"mailbox"`
	Unread  int       `json:"unread"` // items unread in the Inbox now
	Done    []ItemID  `json:"done"`   // announced before, and read or gone now
	Noticed time.Time `json:"noticed"`
}

// Message is what was found in the mailbox: the few properties of an item that
// a notification can need.
type Message struct {
	Item       ItemID    `json:"item"`
	Class      string    `json:"class"`      // item class, "IPM.Note"
	Subject    string    `json:"subject"`    // may be empty
	FromName   string    `json:"from_name"`  // may be empty
	FromAddr   string    `json:"from_addr"`  // SMTP address, or empty where Exchange tells none
	Preview    string    `json:"preview"`    // first characters of the text; empty where the server has no preview
	Received   time.Time `json:"received"`   // DateTimeReceived, UTC, whole seconds
	Importance string    `json:"importance"` // "Low", "Normal", "High"
	Read       bool      `json:"read"`       // already read elsewhere
	InInbox    bool      `json:"in_inbox"`   // false: it was filed elsewhere meanwhile
}
