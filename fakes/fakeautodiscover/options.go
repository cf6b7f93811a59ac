package fakeautodiscover

import (
	"log/slog"
	"time"

	"mailbell/fakes/fault"
	"mailbell/fakes/iisauth"
	"mailbell/fakes/journal"
)

// Directory knows the users. It is asked from any goroutine.
type Directory interface {
	// Settings finds a user by any of its addresses, whatever the case.
	Settings(address string) (UserSettings, bool)
}

// UserSettings is what Autodiscover can tell of a user. An empty string is a
// setting without a value.
type UserSettings struct {
	Address        string // primary SMTP address
	DisplayName    string
	UserDN         string // legacy DN of the user
	MailboxDN      string // legacy DN of the mailbox database's server
	DeploymentID   string
	Server         string // home server
	ExternalEwsURL string
	InternalEwsURL string
	EwsPartnerURL  string
	Grouping       string
	Version        string   // CasVersion, "15.01.2507.039"
	Schemas        []string // EwsSupportedSchemas
	Online         bool     // mailbox in Exchange Online

	// Outcomes other than settings, the first that is set wins.
	ErrorCode       string        // for this user: InvalidUser, ServerBusy, InternalServerError …
	RedirectAddress string        // ask again for this address
	RedirectURL     string        // ask again there
	Delay           time.Duration // the answer to a request with this user waits
}

// ServerVersion is what the server says of itself.
type ServerVersion struct {
	Major, Minor, Build, Revision int
	Label                         string // "Exchange2016"
}

// Style is how envelopes are written. All variants mean the same.
type Style struct {
	Declaration bool   // start with an XML declaration, which WCF does not
	Prefix      string // of the Autodiscover namespace; "": default namespace
	OpenEmpty   bool   // <a></a> instead of <a/>
	Reverse     bool   // settings in the opposite order
	Unasked     bool   // one setting nobody asked for and a WebClientUrlCollectionSetting
}

// Options configures a Server.
type Options struct {
	Directory Directory // nil: nobody is known

	// Site authenticates SOAP and POX. nil: whoever serves the handler does.
	Site *iisauth.Site

	Version  ServerVersion // zero: VersionDefault
	UsersMax int           // users in one request; 0: UsersMaxDefault

	// SOAPOff answers 404 on .svc and leaves the capability headers away;
	// POXOff answers 404 on .xml.
	SOAPOff, POXOff bool
	// Silent leaves unknown and unset settings out instead of naming them.
	Silent bool
	// VersionFault refuses a bad RequestedServerVersion with a SOAP fault
	// instead of InvalidRequest; which one Exchange does is not documented.
	VersionFault bool
	// POXWithoutEwsURL gives the URLs in ASUrl only.
	POXWithoutEwsURL bool

	// ProbeRedirect is where Probe redirects to. "": 404.
	ProbeRedirect string

	// BudgetBurst users per account may be asked for at once and
	// BudgetPerSecond more each second; beyond that the server is busy. 0: no
	// budget.
	BudgetBurst     int
	BudgetPerSecond float64

	Style   Style         // used unless Profile is Hostile
	Profile fault.Profile // "": Calm
	Seed    int64
	Faults  *fault.Set       // nil: none
	Journal *journal.Journal // nil: a private one
	Logger  *slog.Logger     // nil: discard
}

// VersionDefault is Exchange 2016 CU23.
var VersionDefault = ServerVersion{Major: 15, Minor: 1, Build: 2507, Revision: 39, Label: "Exchange2016"}

// Limits.
const (
	// UsersMaxDefault is how many users one request may have; the default of a
	// real server is not documented.
	UsersMaxDefault = 100
	// RequestBytesMax and RequestDepthMax bound what is read.
	RequestBytesMax = 4 << 20
	RequestDepthMax = 32
	// LargeBytesDefault and SlowDefault are the arguments of their faults.
	LargeBytesDefault = 10 << 20
	SlowDefault       = 10 * time.Second
	// HopsDefault is one redirect more than a client should follow.
	HopsDefault = 11
	// AddressesRecordedMax bounds the addresses of one journal entry.
	AddressesRecordedMax = 1000
)

// nobody is the empty directory.
type nobody struct{}

func (nobody) Settings(string) (UserSettings, bool) { return UserSettings{}, false }

func (o Options) withDefaults() Options {
	if o.Directory == nil {
		o.Directory = nobody{}
	}
	if o.Version == (ServerVersion{}) {
		o.Version = VersionDefault
	}
	if o.UsersMax == 0 {
		o.UsersMax = UsersMaxDefault
	}
	if o.Profile == "" {
		o.Profile = fault.Calm
	}
	if o.Journal == nil {
		o.Journal = journal.New()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
