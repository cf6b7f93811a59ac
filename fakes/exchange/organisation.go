package exchange

import (
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	"mailbell/fakes/iisauth"
	"mailbell/fakes/journal"
)

// Options describe an organisation.
type Options struct {
	// Version of all its servers; empty means 2019.
	Version Version
	// Domains of the organisation; the first is that of the servers. Empty
	// means contoso.test.
	Domains []string
	// Servers by name ("ex01") or full name; empty means ex01.
	Servers []string
	// Sites maps a server's name to the GroupingInformation of the mailboxes
	// on it. A server that is not named is a site of its own.
	Sites map[string]string
	// Databases of the servers; nil means one each: db01, db02, …
	Databases []Database
	// CPU charges CPU time as well; nil: it is free.
	CPU *CPUBudget
	// Host is the name under which clients reach the front end; empty means
	// mail.<first domain>.
	Host string
	// Unthrottled switches the budgets off.
	Unthrottled bool
	// QueueMax bounds the unread events of a subscription; 0 means
	// [QueueMaxDefault].
	QueueMax int

	Journal *journal.Journal // nil: nothing is recorded
	Seed    int64            // of all ids
}

// Organisation is the state of one Exchange organisation. All methods are
// safe for concurrent use; one lock guards it all, held for microseconds.
type Organisation struct {
	options   Options
	behaviour Behaviour

	mu           sync.Mutex
	unthrottled  bool
	servers      []*server
	byServer     map[string]*server // short and full names, lower case
	databases    []*database
	byDatabase   map[string]*database
	nextDatabase int // where the next mailbox goes
	mailboxes    map[string]*mailbox
	aliases      map[string]*mailbox
	bySID        map[string]*mailbox
	byUPN        map[string]*mailbox
	created      uint64 // mailboxes ever created
	accounts     accounts
	streams      map[*Stream]struct{}
	budget       budget
	cpu          CPUBudget // complete, when options.CPU is set
	policy       policy
	raw          rawStore
	subscribed   uint64 // subscriptions ever made
}

var _ iisauth.Directory = (*Organisation)(nil)

// server is one Exchange server; what lives in its memory is lost by a
// restart.
type server struct {
	name, fqdn, site string
	subscriptions    map[string]*subscription
}

// New returns an organisation without mailboxes and accounts.
func New(options Options) (*Organisation, error) {
	b, err := BehaviourOf(options.Version)
	if err != nil {
		return nil, err
	}
	if len(options.Domains) == 0 {
		options.Domains = []string{"contoso.test"}
	}
	for i, d := range options.Domains {
		options.Domains[i] = strings.ToLower(d)
	}
	if len(options.Servers) == 0 {
		options.Servers = []string{"ex01"}
	}
	if options.Host == "" {
		options.Host = "mail." + options.Domains[0]
	}
	if options.QueueMax < 0 {
		return nil, fmt.Errorf("exchange: QueueMax %d is negative", options.QueueMax)
	}
	if options.QueueMax == 0 {
		options.QueueMax = QueueMaxDefault
	}
	o := &Organisation{
		options:     options,
		behaviour:   b,
		unthrottled: options.Unthrottled,
		byServer:    map[string]*server{},
		byDatabase:  map[string]*database{},
		mailboxes:   map[string]*mailbox{},
		aliases:     map[string]*mailbox{},
		bySID:       map[string]*mailbox{},
		byUPN:       map[string]*mailbox{},
		accounts:    newAccounts(),
		streams:     map[*Stream]struct{}{},
		budget:      newBudget(),
	}
	for _, name := range options.Servers {
		short, _, qualified := strings.Cut(strings.ToLower(name), ".")
		s := &server{name: short, fqdn: strings.ToLower(name), subscriptions: map[string]*subscription{}}
		if !qualified {
			s.fqdn = short + "." + options.Domains[0]
		}
		if short == "" || o.byServer[short] != nil {
			return nil, fmt.Errorf("exchange: Servers: %q is empty or named twice", name)
		}
		s.site = options.Sites[name]
		if s.site == "" {
			s.site = strings.ToUpper(short) + "-SITE"
		}
		o.servers = append(o.servers, s)
		o.byServer[short], o.byServer[s.fqdn] = s, s
	}
	if err := o.addDatabases(); err != nil {
		return nil, err
	}
	if err := o.addCPU(); err != nil {
		return nil, err
	}
	return o, nil
}

// Behaviour is what the organisation's version does.
func (o *Organisation) Behaviour() Behaviour { return o.behaviour }

// Domains are the SMTP domains, the servers' first.
func (o *Organisation) Domains() []string { return append([]string(nil), o.options.Domains...) }

// Host is the name of the front end.
func (o *Organisation) Host() string { return o.options.Host }

// Servers are the short names of the servers.
func (o *Organisation) Servers() []string {
	out := make([]string, len(o.servers))
	for i, s := range o.servers {
		out[i] = s.name
	}
	return out
}

// ServerFQDN is the full name of a server, "" when there is none of that name.
func (o *Organisation) ServerFQDN(name string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s := o.server(name); s != nil {
		return s.fqdn
	}
	return ""
}

func (o *Organisation) server(name string) *server { return o.byServer[strings.ToLower(name)] }

// SetThrottling switches the budgets on or off at run time.
func (o *Organisation) SetThrottling(on bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.unthrottled = !on
}

// RestartServer ends the server's process and starts it again: every stream
// through it is cut without a word, and all subscriptions it held are
// forgotten.
func (o *Organisation) RestartServer(name string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.server(name)
	if s == nil {
		return fmt.Errorf("exchange: %w: server %q; there are %s", ErrUnknown, name, strings.Join(o.Servers(), ", "))
	}
	for st := range o.streams {
		if st.server == s {
			st.cutOff()
		}
	}
	for _, sub := range s.subscriptions {
		o.forget(sub)
	}
	o.record(journal.Entry{Kind: "restart", Detail: map[string]string{"server": s.name}})
	return nil
}

// CutStreams cuts open streams without a word; subscriptions stay. The scope
// is a server's name, a mailbox's address, or empty for all streams. It
// returns how many were cut.
func (o *Organisation) CutStreams(scope string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for st := range o.streams {
		if !st.cut && o.inScope(st, scope) {
			st.cutOff()
			n++
		}
	}
	o.record(journal.Entry{Kind: "cut", Mailbox: mailboxScope(scope), Detail: map[string]string{"scope": scope, "streams": fmt.Sprint(n)}})
	return n
}

// LoseSubscriptions forgets subscriptions; open streams are told
// ErrorSubscriptionNotFound. The scope is as for [Organisation.CutStreams]. It
// returns how many were lost.
func (o *Organisation) LoseSubscriptions(scope string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	m := o.find(scope)
	for _, s := range o.servers {
		for _, sub := range s.subscriptions {
			if scope == "" || o.server(scope) == s || m != nil && sub.mailbox == m {
				o.kill(sub, CodeSubscriptionNotFound, texts[CodeSubscriptionNotFound])
				n++
			}
		}
	}
	o.record(journal.Entry{Kind: "lose", Mailbox: mailboxScope(scope), Detail: map[string]string{"scope": scope, "subscriptions": fmt.Sprint(n)}})
	return n
}

func (o *Organisation) inScope(st *Stream, scope string) bool {
	if scope == "" || o.server(scope) == st.server {
		return true
	}
	m := o.find(scope)
	if m == nil {
		return false
	}
	for _, sub := range st.subs {
		if sub.mailbox == m {
			return true
		}
	}
	return false
}

func mailboxScope(scope string) string {
	if strings.Contains(scope, "@") {
		return canonical(scope)
	}
	return ""
}

// State is a snapshot for people and tests.
type State struct {
	Version       Version         `json:"version"`
	Domains       []string        `json:"domains"`
	Servers       []ServerState   `json:"servers"`
	Databases     []DatabaseState `json:"databases"`
	Mailboxes     int             `json:"mailboxes"`
	Accounts      int             `json:"accounts"`
	Streams       int             `json:"streams"`
	Subscriptions int             `json:"subscriptions"`
	Streaming     int             `json:"streaming"` // mailboxes that an open stream serves
	Throttling    bool            `json:"throttling"`
}

// ServerState is one server in a [State].
type ServerState struct {
	Name          string `json:"name"`
	FQDN          string `json:"fqdn"`
	Site          string `json:"site"`
	Mailboxes     int    `json:"mailboxes"`
	Subscriptions int    `json:"subscriptions"`
	Streams       int    `json:"streams"`
}

// DatabaseState is one database in a [State].
type DatabaseState struct {
	Name      string `json:"name"`
	Server    string `json:"server"`
	Mounted   bool   `json:"mounted"`
	Mailboxes int    `json:"mailboxes"`
}

// State returns the present state.
func (o *Organisation) State() State {
	o.mu.Lock()
	defer o.mu.Unlock()
	st := State{
		Version: o.behaviour.Version, Mailboxes: len(o.mailboxes), Accounts: len(o.accounts.byUser),
		Streams: len(o.streams), Throttling: !o.unthrottled,
	}
	st.Domains = append(st.Domains, o.options.Domains...)
	streaming := map[*mailbox]struct{}{}
	for stream := range o.streams {
		for _, sub := range stream.subs {
			streaming[sub.mailbox] = struct{}{}
		}
	}
	st.Streaming = len(streaming)
	for _, m := range o.mailboxes {
		m.home() // moves that have run their time
	}
	homes := map[*server]int{}
	for _, d := range o.databases {
		homes[d.home()] += d.mailboxes
		st.Databases = append(st.Databases, DatabaseState{Name: d.name, Server: d.home().name, Mounted: !d.down(), Mailboxes: d.mailboxes})
	}
	for _, s := range o.servers {
		ss := ServerState{Name: s.name, FQDN: s.fqdn, Site: s.site, Mailboxes: homes[s], Subscriptions: len(s.subscriptions)}
		for stream := range o.streams {
			if stream.server == s {
				ss.Streams++
			}
		}
		st.Subscriptions += ss.Subscriptions
		st.Servers = append(st.Servers, ss)
	}
	sort.Slice(st.Servers, func(i, j int) bool { return st.Servers[i].Name < st.Servers[j].Name })
	return st
}

func (o *Organisation) record(e journal.Entry) {
	if o.options.Journal == nil {
		return
	}
	e.Server = "exchange"
	o.options.Journal.Append(e)
}

// now is the time Exchange shows: UTC, whole seconds.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }
