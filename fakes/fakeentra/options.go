package fakeentra

import (
	"crypto/x509"
	"log/slog"
	"time"

	"mailbell/fakes/fault"
	"mailbell/fakes/journal"
)

// The resources tokens are issued for: the audience of the token, and with
// "/.default" behind it the scope of the request.
const (
	ResourceExchange = "https://outlook.office365.com"
	ResourceWNS      = "https://wns.windows.com"
)

// RoleFullAccess lets an application act on every mailbox through EWS.
const RoleFullAccess = "full_access_as_app"

// Tenant is a directory.
type Tenant struct {
	ID      string   // GUID; a tenant without one is unknown
	Domains []string // "contoso.onmicrosoft.com", …
}

// App is an application registration with its service principal.
type App struct {
	ClientID string
	Tenant   string // Tenant.ID it is installed in; "": in all (multi-tenant)

	Secret        string // "": has none
	SecretExpired bool
	Certificates  []*x509.Certificate // whose keys may sign assertions; RSA

	// Roles by resource. A resource without an entry gets a token without
	// roles. nil: RoleFullAccess on Exchange.
	Roles map[string][]string
}

// Options configures a Server.
type Options struct {
	Tenants []Tenant
	Apps    []App

	Host      string        // "": login.microsoftonline.com
	ExpiresIn time.Duration // life of tokens, whole seconds; 0: ExpiresInDefault
	RefreshIn time.Duration // refresh_in; 0: not told
	// Resources that exist. nil: ResourceExchange and ResourceWNS.
	Resources []string

	Faults  *fault.Set       // nil: none
	Journal *journal.Journal // nil: a private one
	Logger  *slog.Logger     // nil: discard
}

// Limits and defaults.
const (
	// ExpiresInDefault is the usual life of an app token.
	ExpiresInDefault = 3599 * time.Second
	// ClockSkewMax is how far clocks may be apart when times are judged.
	ClockSkewMax = 5 * time.Minute
	// AssertionLifeMax is the longest an assertion may live.
	AssertionLifeMax = 24 * time.Hour
	// FormBytesMax bounds a token request.
	FormBytesMax = 64 << 10
	// KeyBits is the size of the signing key.
	KeyBits = 2048
	// SlowDefault is the argument of entra.slow.
	SlowDefault = 10 * time.Second
)

func (o Options) withDefaults() Options {
	if o.Host == "" {
		o.Host = "login.microsoftonline.com"
	}
	if o.ExpiresIn == 0 {
		o.ExpiresIn = ExpiresInDefault
	}
	if o.Resources == nil {
		o.Resources = []string{ResourceExchange, ResourceWNS}
	}
	if o.Journal == nil {
		o.Journal = journal.New()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
