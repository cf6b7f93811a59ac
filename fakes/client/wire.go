package client

import (
	"encoding/json"
	"fmt"
	"time"
)

// Ready is what the fakes tell when they serve: the object on standard output,
// in the file named by --ready-file, and at GET /ready.
type Ready struct {
	EWS          string            `json:"ews"` // URL
	Autodiscover string            `json:"autodiscover"`
	APNs         string            `json:"apns"`
	APNsSandbox  string            `json:"apns_sandbox"`
	WNS          string            `json:"wns"`
	WNSToken     string            `json:"wns_token"`
	OAuth        string            `json:"oauth"`
	SMTP         string            `json:"smtp"`    // host:port
	Control      string            `json:"control"` // URL
	Proxy        string            `json:"proxy"`   // URL of an HTTP proxy to all of them by their real names
	CAFile       string            `json:"ca_file"` // on the machine of the fakes; GET /ca.pem has the same
	Domain       string            `json:"domain"`
	Listener     Account           `json:"listener"`  // may impersonate every mailbox
	Mailboxes    []string          `json:"mailboxes"` // the first ten
	Push         PushCredentials   `json:"push"`
	Hosts        map[string]string `json:"hosts"` // real host:port → where it is; a name may begin with "*."
}

// Account is a Windows account.
type Account struct {
	User     string `json:"user"` // DOMAIN\name
	Password string `json:"password"`
}

// PushCredentials are what a sender of pushes needs.
type PushCredentials struct {
	APNsKeyFile string `json:"apns_key_file"` // on the machine of the fakes; GET /apns-key.p8 has the same
	KeyID       string `json:"key_id"`
	TeamID      string `json:"team_id"`
	Topic       string `json:"topic"`
	WNSApp      string `json:"wns_app"`
	PackageSID  string `json:"package_sid"`
	WNSSecret   string `json:"wns_secret"`
}

// Mail is a mail to be delivered. Either Raw is a whole RFC 5322 message, or
// Subject and Body make one.
type Mail struct {
	To      []string `json:"to"`
	From    string   `json:"from"` // address, or Name <address>
	Subject string   `json:"subject,omitempty"`
	Body    string   `json:"body,omitempty"`
	Raw     string   `json:"raw,omitempty"`
}

// Delivered is what became of a mail for one recipient.
type Delivered struct {
	Mailbox string `json:"mailbox"`
	Item    string `json:"item,omitempty"`  // EWS item ID
	Error   string `json:"error,omitempty"` // why there is no item
}

// Fault is misbehaviour. GET /faults lists those in force; the package comments
// of the fakes list the names: ews.busy, apns.503, wns.reset …
type Fault struct {
	ID          string            `json:"id,omitempty"` // given when empty
	Name        string            `json:"name"`
	Scope       Scope             `json:"scope,omitzero"`
	Probability float64           `json:"probability,omitempty"` // 0 means 1
	Count       int               `json:"count,omitempty"`       // strikes; 0: any number
	For         Duration          `json:"for,omitempty"`         // life; 0: until it is ended
	Args        map[string]string `json:"args,omitempty"`
}

// Scope is whom a fault strikes; an empty field means all.
type Scope struct {
	Server  string `json:"server,omitempty"`
	Mailbox string `json:"mailbox,omitempty"`
	Account string `json:"account,omitempty"`
	Device  string `json:"device,omitempty"` // token or channel URI
}

// Duration is a time.Duration that is written "1m30s" in JSON.
type Duration time.Duration

// MarshalText writes "1m30s".
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads "1m30s".
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// Entry is one exchange with a fake, or one thing that happened in its world.
type Entry struct {
	Seq       uint64            `json:"seq"`
	Time      time.Time         `json:"time"`
	Server    string            `json:"server"` // ews autodiscover iis apns wns wns-token entra smtp exchange control
	Kind      string            `json:"kind"`   // request, push, mail, move, fault …
	Account   string            `json:"account,omitempty"`
	Mailbox   string            `json:"mailbox,omitempty"`
	Device    string            `json:"device,omitempty"` // device token or channel URI
	Item      string            `json:"item,omitempty"`
	Conn      uint64            `json:"conn,omitempty"`
	Operation string            `json:"operation,omitempty"`
	Status    int               `json:"status,omitempty"` // HTTP status answered
	Reason    string            `json:"reason,omitempty"` // error code answered
	Fault     string            `json:"fault,omitempty"`  // that struck
	Detail    map[string]string `json:"detail,omitempty"`
	Body      json.RawMessage   `json:"body,omitempty"` // payload: JSON, or a string with what is no JSON
}

// Page is a part of the journal.
type Page struct {
	Entries []Entry `json:"entries"`
	Next    uint64  `json:"next"` // the After of the next query
	Last    uint64  `json:"last"` // newest entry there is, whatever the filters
	Gap     *Gap    `json:"gap"`  // nil: nothing is missing
}

// Gap are entries that were asked for and are gone.
type Gap struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
	Why  string `json:"why"` // dropped: for want of memory. reset: by Reset. restart: another process answers
}

func (g *Gap) Error() string {
	return fmt.Sprintf("fakes: journal entries %d to %d are gone (%s)", g.From, g.To, g.Why)
}

// Query asks the journal.
type Query struct {
	After uint64        // sequence number; 0: from the beginning
	Limit int           // entries of a page; 0: as many as the API gives
	Wait  time.Duration // for the first one; 0: not at all; more than 60 s is 60 s

	// Filters: empty means all.
	Server, Kind, Mailbox, Device, Account, Operation string
}

// State is how things stand.
type State struct {
	Organisation struct {
		Version       string `json:"version"`
		Mailboxes     int    `json:"mailboxes"`
		Accounts      int    `json:"accounts"`
		Streams       int    `json:"streams"`
		Subscriptions int    `json:"subscriptions"`
		Throttling    bool   `json:"throttling"`
		Servers       []struct {
			Name          string `json:"name"`
			FQDN          string `json:"fqdn"`
			Site          string `json:"site"`
			Mailboxes     int    `json:"mailboxes"`
			Subscriptions int    `json:"subscriptions"`
			Streams       int    `json:"streams"`
		} `json:"servers"`
	} `json:"organisation"`
	// Inside has streams, subscriptions, moves, budgets and limits, each cut to
	// 200; its form may grow.
	Inside json.RawMessage `json:"inside"`
	// Servers has the counters of apns, apns_sandbox and wns.
	Servers     map[string]map[string]float64 `json:"servers"`
	Faults      []Fault                       `json:"faults"`
	JournalLast uint64                        `json:"journal_last"`
}

// IPhone is a new device of APNs. The zero value is an iPhone of the production
// environment with the app of Ready.Push.
type IPhone struct {
	Token       string `json:"token,omitempty"` // hexadecimal; empty: drawn
	Topic       string `json:"topic,omitempty"`
	Environment string `json:"environment,omitempty"` // production or development
}

// Error is a call that was refused.
type Error struct {
	Call   string // method and path
	Status int    // HTTP status
	Reason string // the field and what is allowed
}

func (e *Error) Error() string {
	return fmt.Sprintf("fakes: %s: %d: %s", e.Call, e.Status, e.Reason)
}
