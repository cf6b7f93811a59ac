package iisauth

import (
	"crypto/tls"
	"log/slog"
	"time"

	"mailbell/fakes/fault"
	"mailbell/fakes/journal"
)

// Account is one account of the directory.
type Account struct {
	User      string // sAMAccountName: "svc-mailbell"
	NetBIOS   string // NetBIOS name of its domain: "CONTOSO"
	DNSDomain string // DNS name of its domain: "contoso.test"
	UPN       string // user principal name: "svc-mailbell@contoso.test"
	Password  string

	Disabled bool // refused whatever the password
	Locked   bool // likewise
	Expired  bool // likewise: the password has expired

	Impersonation bool // holds the role ApplicationImpersonation
}

// Directory finds accounts. The site calls it for each attempt, from any
// goroutine, so accounts may change while it runs.
type Directory interface {
	// LookupAccount finds an account by the names of an authentication message:
	// user with a NetBIOS or DNS domain, a UPN as user with no domain, or a bare
	// user with no domain. All comparisons ignore case.
	LookupAccount(user, domain string) (Account, bool)
}

// Identity is whom a request was authenticated as.
type Identity struct {
	Account       string // Account.User, or the application ID
	Scheme        string // NTLM, Negotiate, Basic or Bearer
	Impersonation bool   // may impersonate mailboxes
	AppOnly       bool   // an application without a user
}

// TokenVerifier judges bearer tokens.
type TokenVerifier interface {
	// VerifyToken returns the identity of a valid token. An error may be, or
	// wrap, a *TokenError to choose the diagnostics of the challenge.
	VerifyToken(token string) (Identity, error)
}

// The schemes a site can offer.
const (
	SchemeNegotiate = "Negotiate"
	SchemeNTLM      = "NTLM"
	SchemeBasic     = "Basic"
	SchemeBearer    = "Bearer"
)

// EPA is the setting "Extended Protection" of an IIS directory (attribute
// tokenChecking).
type EPA uint8

// The settings. A channel binding is judged only on TLS connections.
const (
	EPANone    EPA = iota // channel bindings are not looked at
	EPAAllow              // none passes, a wrong one fails
	EPARequire            // none fails, a wrong one fails
)

// TargetInfo is what the challenge tells of the server's names.
type TargetInfo uint8

// The variants.
const (
	TargetInfoFull        TargetInfo = iota // as a domain member does
	TargetInfoNoTimestamp                   // without the server's time
	TargetInfoNone                          // no target information at all
)

// Names are the names of a domain member. Empty fields take those of
// mail.contoso.test in the domain CONTOSO.
type Names struct {
	NetBIOSDomain, NetBIOSComputer  string
	DNSDomain, DNSComputer, DNSTree string
}

// Options configures a Site. Only Directory is required, and not even that
// when Bearer is the only scheme.
type Options struct {
	Directory Directory
	Schemes   []string // on offer, in order; nil: Negotiate, NTLM

	// JoinSchemes offers all schemes in one WWW-Authenticate line. LowerCase
	// writes their names in lower case. Both are legal and rare.
	JoinSchemes, LowerCase bool

	// Names are what the challenge calls the server and its domain.
	Names Names

	// Realm of Basic. "": the host of the request.
	Realm string

	// Tokens judges Bearer. nil: every token is refused.
	Tokens TokenVerifier
	// TenantID is named in the Bearer challenge as the trusted tenant.
	// "": "*", as Exchange Online says.
	TenantID string

	ExtendedProtection EPA
	// Certificate is what the server shows in TLS; its leaf is what channel
	// bindings are compared with. Without one no binding is right.
	Certificate tls.Certificate

	// HTML401 answers 401 with the HTML page of a plain IIS instead of an
	// empty body, as Exchange's front end does.
	HTML401 bool

	// SingleRequest is authPersistSingleRequest of IIS: NTLM authenticates one
	// request and the connection is anonymous again.
	SingleRequest bool

	// RequestsPerConn closes a connection after so many requests. 0: no limit.
	RequestsPerConn int

	TargetInfo TargetInfo
	// TimestampEqual refuses a type 3 whose time is not the one of the
	// challenge.
	TimestampEqual bool
	// TimestampAgeMax is the furthest a type 3 may be from the clock. 0:
	// TimestampAgeMaxDefault.
	TimestampAgeMax time.Duration

	// LockoutThreshold is how many wrong passwords within LockoutWindow lock an
	// account for LockoutFor. 0: never; a usual domain has
	// LockoutThresholdUsual.
	LockoutThreshold int
	LockoutWindow    time.Duration // 0: LockoutWindowDefault
	LockoutFor       time.Duration // 0: LockoutForDefault

	// Server is the name faults are scoped by. "": "iis".
	Server  string
	Faults  *fault.Set       // nil: none
	Journal *journal.Journal // nil: a private one
	Logger  *slog.Logger     // nil: discard
}

// Limits and defaults.
const (
	// TimestampAgeMaxDefault is the commonly quoted MaxLifetime of a Windows
	// server (MS-NLMP, "MaxLifetime").
	TimestampAgeMaxDefault = 36 * time.Hour
	// ChallengeAgeMax is how long a challenge waits for its type 3.
	ChallengeAgeMax = 60 * time.Second
	// MessageBytesMax bounds a decoded NTLM message. IIS refuses request
	// headers above 16 KiB by default ("MaxFieldLength" of HTTP.SYS).
	MessageBytesMax = 12 << 10
	// BodyDrainMax is how much of a refused request's body is read so that its
	// connection can go on.
	BodyDrainMax = 4 << 20

	// Lock-out policy of the Windows security baseline ("Account lockout
	// threshold" and its companions).
	LockoutThresholdUsual = 10
	LockoutWindowDefault  = 10 * time.Minute
	LockoutForDefault     = 10 * time.Minute
)

// IdentityHeader tells, on every answer to an authenticated request, the
// account the site saw.
const IdentityHeader = "X-Fake-Identity"

// TokenError is a refused token with the diagnostics Exchange gives in
// x-ms-diagnostics.
type TokenError struct {
	Code     int    // 2000003 …; 0: 2000001
	Reason   string // a sentence; must not quote the token
	Category string // error_category; "": invalid_token
}

func (e *TokenError) Error() string { return "iisauth: token refused: " + e.Reason }

func (o Options) withDefaults() Options {
	if o.Schemes == nil {
		o.Schemes = []string{SchemeNegotiate, SchemeNTLM}
	}
	o.Names = o.Names.withDefaults()
	if o.TenantID == "" {
		o.TenantID = "*"
	}
	if o.TimestampAgeMax == 0 {
		o.TimestampAgeMax = TimestampAgeMaxDefault
	}
	if o.LockoutWindow == 0 {
		o.LockoutWindow = LockoutWindowDefault
	}
	if o.LockoutFor == 0 {
		o.LockoutFor = LockoutForDefault
	}
	if o.Server == "" {
		o.Server = "iis"
	}
	if o.Journal == nil {
		o.Journal = journal.New()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (n Names) withDefaults() Names {
	for _, d := range []struct {
		field *string
		name  string
	}{
		{&n.NetBIOSDomain, "CONTOSO"},
		{&n.NetBIOSComputer, "MAIL"},
		{&n.DNSDomain, "contoso.test"},
		{&n.DNSComputer, "mail.contoso.test"},
	} {
		if *d.field == "" {
			*d.field = d.name
		}
	}
	if n.DNSTree == "" {
		n.DNSTree = n.DNSDomain
	}
	return n
}
