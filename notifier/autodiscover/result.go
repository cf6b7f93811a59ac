package autodiscover

import (
	"strings"
	"time"
)

// Result is what became of one address.
type Result struct {
	Address  string // as it was asked about
	Settings Settings
	Err      error  // nil: Settings hold
	Ladder   []Step // what was tried, in order
}

// Settings is what the server says about a mailbox. What it did not say is empty.
type Settings struct {
	Address        string   // to use from now on: the mailbox's own, where an alias was asked about
	EWSURL         string   // for clients outside the organisation's network
	InternalEWSURL string   // for clients inside; at least one of the two is set
	Grouping       string   // GroupingInformation; servers before 2013 have none
	Schemas        []string // EwsSupportedSchemas
	CASVersion     string
	DisplayName    string
	MailboxDN      string
}

// Step is one rung of the ladder.
type Step struct {
	Candidate string // URL, DNS name or address
	Outcome   string // a few words for the operator
	Status    int    // of HTTP; 0: there was no answer
	Took      time.Duration
}

// settingNames are the settings that are asked for: as few as possible, since
// each costs the server work ("Improving performance when using Autodiscover
// for Exchange").
func settingNames() []string {
	return []string{
		"ExternalEwsUrl", "InternalEwsUrl", "GroupingInformation", "EwsSupportedSchemas",
		"CasVersion", "UserDisplayName", "MailboxDN", "AutoDiscoverSMTPAddress",
	}
}

// newSettings reads the values by name. URLs that credentials must not be sent to
// are left out.
func newSettings(asked string, values map[string]string) Settings {
	s := Settings{
		Address:        asked,
		EWSURL:         ewsURL(values["ExternalEwsUrl"]),
		InternalEWSURL: ewsURL(values["InternalEwsUrl"]),
		Grouping:       values["GroupingInformation"],
		CASVersion:     values["CasVersion"],
		DisplayName:    values["UserDisplayName"],
		MailboxDN:      values["MailboxDN"],
	}
	if own, err := parseAddress(values["AutoDiscoverSMTPAddress"]); err == nil {
		s.Address = own.String()
	}
	for schema := range strings.FieldsFuncSeq(values["EwsSupportedSchemas"], func(r rune) bool { return r == ',' || r == ' ' }) {
		s.Schemas = append(s.Schemas, schema)
	}
	return s
}
