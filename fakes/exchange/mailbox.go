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
	Server      string   // home server or database; empty: the databases in turn
	Aliases     []string // further addresses
	UPN         string   // user principal name; empty: the address
}

// Mailbox is what the directory knows of a mailbox.
type Mailbox struct {
	Address     string // primary SMTP address, lower case
	DisplayName string
	Server      string // short name of the home server
	ServerFQDN  string
	Database    string
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
	local    string // local part it was made with, part of its directory names
	id       guid
	sid, upn string
	disabled bool
	ews      *bool // EwsEnabled of the mailbox; nil: null

	db *database
	// A move runs until movingUntil and then ends in movingTo; see home.
	movingTo    *database
	movingUntil time.Time

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
		m.db.mailboxes--
		m.db, m.movingTo = m.movingTo, nil
		m.db.mailboxes++
	}
	return m.db.home()
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
	db, err := o.place(options.Server)
	if err != nil {
		return fmt.Errorf("exchange: mailbox %s: %w", a, err)
	}
	o.created++
	db.mailboxes++
	m := &mailbox{
		org: o, address: a, display: options.DisplayName, aliases: all[1:], local: local, db: db,
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
	m.home()
	m.db.mailboxes--
	delete(o.bySID, m.sid)
	delete(o.byUPN, m.upn)
	o.record(journal.Entry{Kind: "remove", Mailbox: m.address})
	return nil
}

// SetMailboxDisabled disables the account of a mailbox (ErrorAccountDisabled)
// or enables it again. Mail keeps arriving, and an open stream goes on.
func (o *Organisation) SetMailboxDisabled(address string, disabled bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.find(address)
	if m == nil {
		return fmt.Errorf("%w: %s", ErrNoMailbox, address)
	}
	m.disabled = disabled
	kind := "enable"
	if disabled {
		kind = "disable"
	}
	o.record(journal.Entry{Kind: kind, Mailbox: m.address})
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
	return "/o=Contoso/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)/cn=Recipients/cn=" + strings.ReplaceAll(m.id.String(), "-", "") + "-" + m.local
}

func (m *mailbox) info() Mailbox {
	home := m.home()
	return Mailbox{
		Address: m.address, DisplayName: m.display, Server: home.name, ServerFQDN: home.fqdn, Database: m.db.name,
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
	case m.db.down():
		return nil, refuse(CodeStoreUnavailable)
	}
	return m, nil
}

// Move moves a mailbox into another database, named itself or by its server,
// which takes the time took: streams report ErrorInvalidSubscription at once,
// requests get ErrorMailboxMoveInProgress until it is over, and from then on
// Autodiscover tells the new server. Item ids stay. Mail keeps arriving
// meanwhile.
func (o *Organisation) Move(address, to string, took time.Duration) error {
	if err := checkDuration("took", took); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.find(address)
	switch {
	case m == nil:
		return fmt.Errorf("%w: %s", ErrNoMailbox, address)
	case to == "":
		return fmt.Errorf("exchange: move %s: where to? Name a server (%s) or a database (%s)", m.address, strings.Join(o.Servers(), ", "), strings.Join(o.Databases(), ", "))
	}
	db, err := o.place(to)
	if err != nil {
		return fmt.Errorf("exchange: move %s: %w", m.address, err)
	}
	from, fromDB := m.home(), m.db
	m.movingTo, m.movingUntil = db, time.Now().Add(took)
	m.home()
	for _, sub := range append([]*subscription(nil), m.subs...) {
		o.kill(sub, CodeInvalidSubscription, texts[CodeInvalidSubscription]+", MailboxMoveStarted, Cannot open mailbox. Server = "+from.fqdn+".")
	}
	o.record(journal.Entry{Kind: "move", Mailbox: m.address, Detail: map[string]string{
		"from": from.name, "to": db.home().name, "from_database": fromDB.name, "to_database": db.name, "took": took.String(),
	}})
	return nil
}

// RenameMailbox gives a mailbox a new primary address; the old one stays an
// alias, as an address policy has it. Names that do not change with it: the
// user principal name, the SID, the legacy distinguished name, all ids, and so
// its subscriptions.
func (o *Organisation) RenameMailbox(address, to string) error {
	a := canonical(to)
	if local, domain, ok := strings.Cut(a, "@"); !ok || local == "" || domain == "" {
		return fmt.Errorf("exchange: rename %s: %q: want local@domain", address, to)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.find(address)
	if m == nil {
		return fmt.Errorf("%w: %s", ErrNoMailbox, address)
	}
	if taken := o.find(a); taken != nil && taken != m {
		return fmt.Errorf("exchange: rename %s: address %s is taken", m.address, a)
	}
	old := m.address
	if a == old {
		return nil
	}
	m.removeAlias(a)
	delete(o.mailboxes, old)
	m.address = a
	o.mailboxes[a] = m
	m.aliases = append(m.aliases, old)
	o.aliases[old] = m
	o.record(journal.Entry{Kind: "rename", Mailbox: a, Detail: map[string]string{"from": old}})
	return nil
}

// AddAlias gives a mailbox a further address.
func (o *Organisation) AddAlias(address, alias string) error {
	a := canonical(alias)
	if local, domain, ok := strings.Cut(a, "@"); !ok || local == "" || domain == "" {
		return fmt.Errorf("exchange: alias of %s: %q: want local@domain", address, alias)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.find(address)
	switch {
	case m == nil:
		return fmt.Errorf("%w: %s", ErrNoMailbox, address)
	case o.find(a) != nil:
		return fmt.Errorf("exchange: alias of %s: address %s is taken", m.address, a)
	case len(m.aliases) >= AliasesMax:
		return fmt.Errorf("exchange: alias of %s: it has %d, no more are allowed", m.address, AliasesMax)
	}
	m.aliases = append(m.aliases, a)
	o.aliases[a] = m
	o.record(journal.Entry{Kind: "alias", Mailbox: m.address, Detail: map[string]string{"added": a}})
	return nil
}

// RemoveAlias takes an alias away; the primary address cannot be.
func (o *Organisation) RemoveAlias(address, alias string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	m, a := o.find(address), canonical(alias)
	switch {
	case m == nil:
		return fmt.Errorf("%w: %s", ErrNoMailbox, address)
	case o.aliases[a] != m:
		return fmt.Errorf("exchange: %w: %s has no alias %s", ErrUnknown, m.address, a)
	}
	m.removeAlias(a)
	o.record(journal.Entry{Kind: "alias", Mailbox: m.address, Detail: map[string]string{"removed": a}})
	return nil
}

func (m *mailbox) removeAlias(alias string) {
	for i, a := range m.aliases {
		if a == alias {
			m.aliases = append(m.aliases[:i:i], m.aliases[i+1:]...)
			delete(m.org.aliases, alias)
			return
		}
	}
}

// answers says whether an address is one of the mailbox.
func (m *mailbox) answers(address string) bool {
	return address == m.address || m.org.aliases[address] == m
}
