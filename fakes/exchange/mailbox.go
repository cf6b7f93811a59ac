package exchange

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"mailbell/fakes/journal"
)

// MailboxOptions describe a new mailbox.
type MailboxOptions struct {
	DisplayName string   // empty: made from the local part
	Server      string   // home server; empty: the servers in turn
	Aliases     []string // further addresses
	UPN         string   // user principal name; empty: the address
}

// Mailbox is what the directory knows of a mailbox.
type Mailbox struct {
	Address     string // primary SMTP address, lower case
	DisplayName string
	Server      string // short name of the home server
	ServerFQDN  string
	Site        string
	SID         string
	UPN         string
	LegacyDN    string
}

// Settings is what Autodiscover tells about a mailbox.
type Settings struct {
	Address        string // primary SMTP address
	DisplayName    string
	UserDN         string // legacy distinguished name of the user
	MailboxDN      string // names the home server
	Server         string // short name of the home server
	ServerFQDN     string
	EWSURL         string
	InternalEWSURL string
	Grouping       string // empty where the version knows none
	Aliases        []string
	Version        Version
	CASVersion     string   // "15.02.1544.011"
	Schemas        []string // EwsSupportedSchemas
	Disabled       bool
}

type mailbox struct {
	org      *Organisation
	address  string
	display  string
	aliases  []string
	id       guid
	sid, upn string
	disabled bool

	server *server
	// A move runs until movingUntil and then ends on movingTo; see home.
	movingTo    *server
	movingUntil time.Time
	downUntil   time.Time // fail-over of its database

	folders map[string]*folder // by distinguished or given name, lower case
	byID    map[string]*folder
	items   map[string]*item
	changes uint64 // sequence of all changes
	made    uint64 // items ever made
	made2   uint64 // folders ever made beyond the well-known
	rules   []Rule
	subs    []*subscription
}

// home is the server the mailbox lives on, with a move that has run its time
// completed.
func (m *mailbox) home() *server {
	if m.movingTo != nil && !time.Now().Before(m.movingUntil) {
		m.server, m.movingTo = m.movingTo, nil
	}
	return m.server
}

func (m *mailbox) moving() bool {
	m.home()
	return m.movingTo != nil
}

func canonical(address string) string {
	return strings.ToLower(strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(address, "SMTP:"), "smtp:")))
}

// find is the mailbox with that primary address or alias, or nil.
func (o *Organisation) find(address string) *mailbox {
	a := canonical(address)
	if m := o.mailboxes[a]; m != nil {
		return m
	}
	return o.aliases[a]
}

// AddMailbox makes a mailbox. The address may be of any domain.
func (o *Organisation) AddMailbox(address string, options MailboxOptions) error {
	a := canonical(address)
	local, domain, ok := strings.Cut(a, "@")
	if !ok || local == "" || domain == "" {
		return fmt.Errorf("exchange: mailbox %q: want local@domain", address)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	all := []string{a}
	for _, alias := range options.Aliases {
		all = append(all, canonical(alias))
	}
	for _, x := range all {
		if o.find(x) != nil {
			return fmt.Errorf("exchange: address %s is taken", x)
		}
	}
	var home *server
	if options.Server == "" {
		home = o.servers[o.nextServer%len(o.servers)]
		o.nextServer++
	} else if home = o.server(options.Server); home == nil {
		return fmt.Errorf("exchange: mailbox %s: no server %q", a, options.Server)
	}
	o.created++
	m := &mailbox{
		org: o, address: a, display: options.DisplayName, aliases: all[1:], server: home,
		id:      newGUID(o.options.Seed, "mailbox", a, o.created),
		sid:     fmt.Sprintf("S-1-5-21-3623811015-3361044348-30300820-%d", 1100+o.created),
		upn:     strings.ToLower(options.UPN),
		folders: map[string]*folder{}, byID: map[string]*folder{}, items: map[string]*item{},
	}
	if m.display == "" {
		m.display = displayName(local)
	}
	if m.upn == "" {
		m.upn = a
	}
	o.mailboxes[a] = m
	for _, alias := range m.aliases {
		o.aliases[alias] = m
	}
	o.bySID[m.sid], o.byUPN[m.upn] = m, m
	m.wellKnown(Inbox)
	return nil
}

// displayName makes "Alice Smith" of alice.smith.
func displayName(local string) string {
	words := strings.FieldsFunc(local, func(r rune) bool { return r == '.' || r == '_' || r == '-' })
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	if len(words) == 0 {
		return local
	}
	return strings.Join(words, " ")
}

// RemoveMailbox deletes a mailbox with all it holds; its subscriptions are
// forgotten and open streams told so.
func (o *Organisation) RemoveMailbox(address string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.find(address)
	if m == nil {
		return fmt.Errorf("%w: %s", ErrNoMailbox, address)
	}
	for _, sub := range append([]*subscription(nil), m.subs...) {
		o.kill(sub, CodeInvalidSubscription, texts[CodeInvalidSubscription]+", The mailbox was not found.")
	}
	delete(o.mailboxes, m.address)
	for _, alias := range m.aliases {
		delete(o.aliases, alias)
	}
	delete(o.bySID, m.sid)
	delete(o.byUPN, m.upn)
	o.record(journal.Entry{Kind: "remove", Mailbox: m.address})
	return nil
}

// SetMailboxDisabled disables a mailbox (ErrorAccountDisabled) or enables it
// again.
func (o *Organisation) SetMailboxDisabled(address string, disabled bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.find(address)
	if m == nil {
		return fmt.Errorf("%w: %s", ErrNoMailbox, address)
	}
	m.disabled = disabled
	return nil
}

// Mailboxes are the primary addresses, sorted.
func (o *Organisation) Mailboxes() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := make([]string, 0, len(o.mailboxes))
	for a := range o.mailboxes {
		out = append(out, a)
	}
	sort.Strings(out)
	return out
}

// Settings is what Autodiscover tells about an address, which may be an
// alias; ok is false when there is no such mailbox.
func (o *Organisation) Settings(address string) (s Settings, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.find(address)
	if m == nil {
		return Settings{}, false
	}
	home := m.home()
	s = Settings{
		Address:        m.address,
		DisplayName:    m.display,
		UserDN:         m.legacyDN(),
		MailboxDN:      "/o=Contoso/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)/cn=Configuration/cn=Servers/cn=" + strings.ToUpper(home.name) + "/cn=Microsoft Private MDB",
		Server:         home.name,
		ServerFQDN:     home.fqdn,
		EWSURL:         "https://" + o.options.Host + "/EWS/Exchange.asmx",
		InternalEWSURL: "https://" + o.options.Host + "/EWS/Exchange.asmx",
		Aliases:        append([]string(nil), m.aliases...),
		Version:        o.behaviour.Version,
		CASVersion:     o.behaviour.VersionText(),
		Schemas:        append([]string(nil), o.behaviour.Schemas...),
		Disabled:       m.disabled,
	}
	if o.behaviour.Grouping {
		s.Grouping = home.site
	}
	return s, true
}

func (m *mailbox) legacyDN() string {
	local, _, _ := strings.Cut(m.address, "@")
	return "/o=Contoso/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)/cn=Recipients/cn=" + strings.ReplaceAll(m.id.String(), "-", "") + "-" + local
}

func (m *mailbox) info() Mailbox {
	home := m.home()
	return Mailbox{
		Address: m.address, DisplayName: m.display, Server: home.name, ServerFQDN: home.fqdn,
		Site: home.site, SID: m.sid, UPN: m.upn, LegacyDN: m.legacyDN(),
	}
}

// Identifier is how a request names a mailbox: the four children of
// ConnectingSID.
type Identifier string

// The identifiers.
const (
	PrincipalName      Identifier = "PrincipalName"
	SID                Identifier = "SID"
	PrimarySMTPAddress Identifier = "PrimarySmtpAddress"
	SMTPAddress        Identifier = "SmtpAddress"
)

// Lookup resolves an identifier as the impersonation header does.
func (o *Organisation) Lookup(kind Identifier, value string) (Mailbox, *Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var m *mailbox
	switch kind {
	case PrincipalName:
		if m = o.byUPN[strings.ToLower(strings.TrimSpace(value))]; m == nil {
			return Mailbox{}, refuse(CodeInvalidUPN)
		}
	case SID:
		if m = o.bySID[strings.ToUpper(strings.TrimSpace(value))]; m == nil {
			return Mailbox{}, refuse(CodeInvalidSID)
		}
	default:
		m = o.find(value)
		if m != nil && kind == PrimarySMTPAddress && canonical(value) != m.address {
			return Mailbox{}, refuse(CodeNonPrimaryAddress, Value{"Primary", m.address})
		}
	}
	if m == nil {
		return Mailbox{}, refuse(CodeNonExistentMailbox)
	}
	return m.info(), nil
}

// Search finds the mailboxes an unresolved name could mean, at most max, as
// ResolveNames does: by address, alias, or the beginning of the display name.
func (o *Organisation) Search(entry string, max int) []Mailbox {
	o.mu.Lock()
	defer o.mu.Unlock()
	if m := o.find(entry); m != nil {
		return []Mailbox{m.info()}
	}
	want := strings.ToLower(strings.TrimSpace(entry))
	if want == "" || strings.Contains(want, "@") {
		return nil
	}
	var out []Mailbox
	for _, m := range o.mailboxes {
		if strings.HasPrefix(strings.ToLower(m.display), want) || strings.HasPrefix(m.address, want) || strings.EqualFold(m.legacyDN(), entry) {
			out = append(out, m.info())
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Address < out[j].Address })
	return out[:min(max, len(out))]
}

// Available says whether the mailbox can be opened now.
func (o *Organisation) Available(address string) *Error {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, err := o.open(address)
	return err
}

// open is the mailbox, if it can be opened now.
func (o *Organisation) open(address string) (*mailbox, *Error) {
	m := o.find(address)
	switch {
	case m == nil:
		return nil, refuse(CodeNonExistentMailbox)
	case m.disabled:
		return nil, refuse(CodeAccountDisabled)
	case m.moving():
		return nil, refuse(CodeMailboxMove)
	case time.Now().Before(m.downUntil):
		return nil, refuse(CodeStoreUnavailable)
	}
	return m, nil
}

// Move moves a mailbox to another server, which takes the time took: streams
// report ErrorInvalidSubscription at once, requests get
// ErrorMailboxMoveInProgress until it is over, and from then on Autodiscover
// tells the new server. Item ids stay. Mail keeps arriving meanwhile.
func (o *Organisation) Move(address, serverName string, took time.Duration) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.find(address)
	if m == nil {
		return fmt.Errorf("%w: %s", ErrNoMailbox, address)
	}
	to := o.server(serverName)
	if to == nil {
		return fmt.Errorf("exchange: move %s: no server %q", m.address, serverName)
	}
	from := m.home()
	m.movingTo, m.movingUntil = to, time.Now().Add(took)
	m.home()
	for _, sub := range append([]*subscription(nil), m.subs...) {
		o.kill(sub, CodeInvalidSubscription, texts[CodeInvalidSubscription]+", MailboxMoveStarted, Cannot open mailbox. Server = "+from.fqdn+".")
	}
	o.record(journal.Entry{Kind: "move", Mailbox: m.address, Detail: map[string]string{"from": from.name, "to": to.name, "took": took.String()}})
	return nil
}

// FailOver dismounts the databases of a server for a time: the subscriptions
// of its mailboxes are lost, streams report ErrorMailboxStoreUnavailable, and
// so do requests until the time is over.
func (o *Organisation) FailOver(serverName string, took time.Duration) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.server(serverName)
	if s == nil {
		return fmt.Errorf("exchange: no server %q", serverName)
	}
	until := time.Now().Add(took)
	for _, m := range o.mailboxes {
		if m.home() != s {
			continue
		}
		m.downUntil = until
		for _, sub := range append([]*subscription(nil), m.subs...) {
			o.kill(sub, CodeStoreUnavailable, texts[CodeStoreUnavailable])
		}
	}
	o.record(journal.Entry{Kind: "failover", Detail: map[string]string{"server": s.name, "took": took.String()}})
	return nil
}
