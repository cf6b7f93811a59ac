package main

import "time"

// event is something the page is told, as a server-sent event: a name and JSON.
type event interface{ name() string }

// stateEvent is how things stand. It replaces the one before.
type stateEvent struct {
	Notifier  string        `json:"notifier"`
	Streams   int           `json:"streams"`
	Outage    bool          `json:"outage"`
	P50       *float64      `json:"p50,omitempty"` // milliseconds from arrival to acceptance
	SMTP      string        `json:"smtp"`
	Mailboxes []string      `json:"mailboxes"`
	Devices   []deviceState `json:"devices"`
}

type deviceState struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Mailbox string `json:"mailbox"`
	Kind    string `json:"kind"`
	Locale  string `json:"locale"`
	Hidden  bool   `json:"hidden"`
}

// mailEvent is a mail that reached a mailbox.
type mailEvent struct {
	Item    string `json:"item"`
	Subject string `json:"subject"`
	From    string `json:"from"`
	Mailbox string `json:"mailbox"`
}

// hopEvent is a step of a mail.
type hopEvent struct {
	Item   string  `json:"item"`
	Kind   string  `json:"kind"`
	Name   string  `json:"name"`
	Detail string  `json:"detail"`
	MS     float64 `json:"ms"`    // since the mail arrived; of the first time
	Times  int     `json:"times"` // a repeated step is told again with a higher number
}

// pushEvent is a push that was accepted: the device lights up.
type pushEvent struct {
	Device string   `json:"device"`
	Item   string   `json:"item"`
	Lines  []string `json:"lines"`
	Badge  string   `json:"badge"` // "" leaves what is shown
	MS     float64  `json:"ms"`    // since the mail arrived
}

// badgeEvent is a new count on a device, without a message.
type badgeEvent struct {
	Device string `json:"device"`
	Badge  string `json:"badge"`
}

// newsEvent is something that happened besides mail.
type newsEvent struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind"` // good or bad
	Text string    `json:"text"`
}

// resetEvent tells a page to forget what it shows: the recent past follows.
type resetEvent struct{}

func (stateEvent) name() string { return "state" }
func (mailEvent) name() string  { return "mail" }
func (hopEvent) name() string   { return "hop" }
func (pushEvent) name() string  { return "push" }
func (badgeEvent) name() string { return "badge" }
func (newsEvent) name() string  { return "news" }
func (resetEvent) name() string { return "reset" }
