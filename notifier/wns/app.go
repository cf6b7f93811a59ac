package wns

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

// AppKind says which of WNS's two worlds an app belongs to.
type AppKind uint8

// The kinds of app.
const (
	// PartnerCenter apps have a package SID; token from login.live.com; toast,
	// badge, tile and raw.
	PartnerCenter AppKind = iota + 1
	// Entra apps are made with the Windows App SDK; token from Microsoft Entra;
	// toast and raw only.
	Entra
)

// String is the kind as written in configuration.
func (k AppKind) String() string {
	switch k {
	case PartnerCenter:
		return "partner-center"
	case Entra:
		return "entra"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// App is the identity of one app. Its text forms leave the secret out.
type App struct {
	Name       string // for errors and logs
	Kind       AppKind
	PackageSID string // PartnerCenter: "ms-app://s-1-15-2-…"
	ClientID   string // Entra: application (client) ID
	Tenant     string // Entra: tenant ID or domain
	Secret     string
	TokenURL   string // "" means the real token service
	// RateMax bounds the notifications a second to all devices of the app. 0:
	// RateDefault.
	RateMax int
}

// String names the app without its secret.
func (a App) String() string { return fmt.Sprintf("WNS app %q (%s)", a.Name, a.Kind) }

// GoString is String, so that %#v keeps the secret too.
func (a App) GoString() string { return a.String() }

// LogValue is the app's name.
func (a App) LogValue() slog.Value { return slog.StringValue(a.Name) }

const (
	liveTokenURL = "https://login.live.com/accesstoken.srf"
	entraHost    = "https://login.microsoftonline.com/"
	liveScope    = "notify.windows.com"
	entraScope   = "https://wns.windows.com/.default"
	sidPrefix    = "ms-app://"
)

// validate names the field that is wrong.
func (a *App) validate() error {
	fail := func(field, text string) error { return fmt.Errorf("wns: app %q: %s: %s", a.Name, field, text) }
	switch a.Kind {
	case PartnerCenter:
		if !strings.HasPrefix(a.PackageSID, sidPrefix) {
			return fail("PackageSID", "want ms-app://s-1-15-2-… as Partner Center shows it")
		}
	case Entra:
		if a.ClientID == "" {
			return fail("ClientID", "empty; set the application (client) ID of the Entra app registration")
		}
		if a.Tenant == "" || strings.ContainsAny(a.Tenant, "/?#%\\ ") {
			return fail("Tenant", "want the tenant ID or domain of the Entra app registration")
		}
	default:
		return fail("Kind", "want PartnerCenter or Entra")
	}
	if a.Secret == "" {
		return fail("Secret", "empty")
	}
	if a.RateMax < 0 {
		return fail("RateMax", "want 1 or more")
	}
	if a.TokenURL != "" {
		u, err := url.Parse(a.TokenURL)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
			return fail("TokenURL", "want an https URL")
		}
	}
	return nil
}

// tokenRequest is where and what to ask for a token (WNS "Push notification
// service request and response headers", access token request; Windows App
// SDK "Push notifications quickstart").
func (a *App) tokenRequest() (address string, form url.Values) {
	form = url.Values{"grant_type": {"client_credentials"}, "client_secret": {a.Secret}}
	switch a.Kind {
	case Entra:
		address = entraHost + url.PathEscape(a.Tenant) + "/oauth2/v2.0/token"
		form.Set("client_id", a.ClientID)
		form.Set("scope", entraScope)
	default:
		address = liveTokenURL
		form.Set("client_id", a.PackageSID)
		form.Set("scope", liveScope)
	}
	if a.TokenURL != "" {
		address = a.TokenURL
	}
	return address, form
}

var errBadge = errors.New("wns: request: Type: a Windows App SDK app takes toasts and raw notifications only; let the app set its badge itself")
