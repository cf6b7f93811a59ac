package exchange

import (
	"fmt"
	"sort"
)

// MailboxState is one mailbox for people and tests.
type MailboxState struct {
	Address       string        `json:"address"`
	DisplayName   string        `json:"display_name"`
	Aliases       []string      `json:"aliases,omitempty"`
	Server        string        `json:"server"`
	Database      string        `json:"database"`
	Disabled      bool          `json:"disabled"`
	Unavailable   string        `json:"unavailable,omitempty"` // the code that requests get now
	EWSEnabled    *bool         `json:"ews_enabled"`           // of the mailbox itself
	Subscriptions int           `json:"subscriptions"`
	Rules         int           `json:"rules"`
	Folders       []FolderState `json:"folders"`
}

// FolderState is one folder in a [MailboxState]; distinguished ones that
// nobody has opened yet are missing.
type FolderState struct {
	Name   string `json:"name"`
	Total  int    `json:"total"`
	Unread int    `json:"unread"`
}

// MailboxState returns the present state of a mailbox.
func (o *Organisation) MailboxState(address string) (MailboxState, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.find(address)
	if m == nil {
		return MailboxState{}, fmt.Errorf("%w: %s", ErrNoMailbox, address)
	}
	st := MailboxState{
		Address: m.address, DisplayName: m.display, Aliases: append([]string(nil), m.aliases...),
		Server: m.home().name, Database: m.db.name, Disabled: m.disabled, EWSEnabled: m.ews,
		Subscriptions: len(m.subs), Rules: len(m.rules),
	}
	if _, err := o.open(m.address); err != nil {
		st.Unavailable = err.Code
	}
	for _, f := range m.folders {
		st.Folders = append(st.Folders, FolderState{f.name, len(f.items), f.unread})
	}
	sort.Slice(st.Folders, func(i, j int) bool { return st.Folders[i].Name < st.Folders[j].Name })
	return st, nil
}
