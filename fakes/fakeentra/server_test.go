package fakeentra

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"go.uber.org/goleak"

	"mailbell/fakes/fault"
	"mailbell/fakes/iisauth"
	"mailbell/fakes/journal"
	"mailbell/fakes/network"
	"mailbell/fakes/testcert"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	tenantID = "8f6bd7b0-9b7a-4a6e-9c0e-2f3b7c1d5e90"
	clientID = "3c1b7e4a-0d52-4c8f-8f63-6a1f0e9d2b77"
	domain   = "contoso.onmicrosoft.com"
	secret   = "s3cr3t-value~of.the.app"
)

var tenant = Tenant{ID: tenantID, Domains: []string{domain}}

// world is a server on loopback and a client that can reach nothing else.
type world struct {
	*Server
	client  *http.Client
	journal *journal.Journal
	faults  *fault.Set
}

func start(t *testing.T, o Options) *world {
	t.Helper()
	w := &world{journal: journal.New(), faults: fault.New(1)}
	o.Journal, o.Faults = w.journal, w.faults
	if o.Tenants == nil {
		o.Tenants = []Tenant{tenant}
	}
	if o.Apps == nil {
		o.Apps = []App{{ClientID: clientID, Tenant: tenantID, Secret: secret}}
	}
	w.Server = New(o)
	authority, err := testcert.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := authority.Server("login.microsoftonline.com")
	if err != nil {
		t.Fatal(err)
	}
	loopback := network.NewLoopback()
	ln, err := loopback.Listen("login.microsoftonline.com:443")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: w.Server, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}}
	served := make(chan error, 1)
	go func() { served <- server.ServeTLS(ln, "", "") }()
	transport := &http.Transport{DialContext: loopback.Dial, TLSClientConfig: &tls.Config{RootCAs: authority.Pool()}}
	w.client = &http.Client{Transport: transport}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
		<-served
		b, err := json.Marshal(w.journal.After(0))
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{secret, "eyJ"} {
			if bytes.Contains(b, []byte(word)) {
				t.Errorf("the journal contains %q", word)
			}
		}
	})
	return w
}

// post sends a token request and reads the JSON of the answer.
func (w *world) post(t *testing.T, tenantName string, form url.Values, change func(*http.Request)) (int, http.Header, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", "https://login.microsoftonline.com/"+tenantName+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if change != nil {
		change(req)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	answer := map[string]any{}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(b, &answer); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
	}
	return resp.StatusCode, resp.Header, answer
}

func form(pairs ...string) url.Values {
	v := url.Values{"grant_type": {"client_credentials"}, "client_id": {clientID}, "client_secret": {secret}, "scope": {ResourceExchange + "/.default"}}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			v.Del(pairs[i])
		} else {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v
}

// Checklist auth 28.
func TestSecretGetsATokenThatExchangeAccepts(t *testing.T) {
	w := start(t, Options{ExpiresIn: 90 * time.Minute, RefreshIn: 45 * time.Minute})
	for _, name := range []string{tenantID, strings.ToUpper(tenantID), domain} {
		status, _, answer := w.post(t, name, form("scope", ResourceExchange+"/.default openid offline_access profile"), nil)
		if status != 200 || answer["token_type"] != "Bearer" || answer["expires_in"] != 5400.0 || answer["refresh_in"] != 2700.0 {
			t.Fatalf("%s: %d %v", name, status, answer)
		}
		token := answer["access_token"].(string)
		id, err := w.VerifyToken(token)
		if err != nil || id != (iisauth.Identity{Account: clientID, Scheme: "Bearer", Impersonation: true, AppOnly: true}) {
			t.Errorf("identity %+v, %v", id, err)
		}
		claims, err := w.Verify(token, ResourceExchange)
		if err != nil || claims.Issuer != "https://sts.windows.net/"+tenantID+"/" || claims.TenantID != tenantID || claims.AppIDACR != "1" || fmt.Sprint(claims.Roles) != "[full_access_as_app]" {
			t.Errorf("claims %+v, %v", claims, err)
		}
	}
}

// Checklist push 65.
func TestTokenForWNSIsNoneForExchange(t *testing.T) {
	w := start(t, Options{})
	_, _, answer := w.post(t, tenantID, form("scope", ResourceWNS+"/.default"), nil)
	token, _ := answer["access_token"].(string)
	if claims, err := w.Verify(token, ResourceWNS); err != nil || claims.AppID != clientID {
		t.Errorf("claims %+v, %v", claims, err)
	}
	var bad *iisauth.TokenError
	if _, err := w.VerifyToken(token); !errors.As(err, &bad) || bad.Category != "invalid_resource" {
		t.Errorf("at Exchange: %v", err)
	}
}

// Checklist auth 25.
func TestClientMayUseABasicHeader(t *testing.T) {
	w := start(t, Options{})
	status, _, answer := w.post(t, tenantID, form("client_id", "", "client_secret", ""), func(r *http.Request) {
		r.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(secret))
	})
	if status != 200 {
		t.Errorf("%d %v", status, answer)
	}
}

// Checklist auth 24.
func TestRefusalsHaveTheirStatusNameAndCode(t *testing.T) {
	w := start(t, Options{Apps: []App{
		{ClientID: clientID, Tenant: tenantID, Secret: secret},
		{ClientID: "old", Secret: secret, SecretExpired: true},
		{ClientID: "elsewhere", Tenant: "other", Secret: secret},
	}})
	for _, c := range []struct {
		name   string
		tenant string
		form   url.Values
		status int
		oauth  string
		code   float64
	}{
		{"wrong secret", tenantID, form("client_secret", "guess"), 401, "invalid_client", 7000215},
		{"expired secret", tenantID, form("client_id", "old"), 401, "invalid_client", 7000222},
		{"no credential", tenantID, form("client_secret", ""), 401, "invalid_client", 7000218},
		{"garbage assertion", tenantID, form("client_assertion", "x.y.z", "client_assertion_type", assertionType), 401, "invalid_client", 700027},
		{"unknown application", tenantID, form("client_id", "nobody"), 400, "unauthorized_client", 700016},
		{"application of another tenant", tenantID, form("client_id", "elsewhere"), 400, "unauthorized_client", 700016},
		{"unknown tenant", "fabrikam.test", form(), 400, "invalid_request", 90002},
		{"no client", tenantID, form("client_id", ""), 400, "invalid_request", 900144},
		{"no scope", tenantID, form("scope", ""), 400, "invalid_request", 900144},
		{"no grant type", tenantID, form("grant_type", ""), 400, "invalid_request", 900144},
		{"other grant type", tenantID, form("grant_type", "password"), 400, "unsupported_grant_type", 70003},
		{"two resources", tenantID, form("scope", ResourceExchange+"/.default "+ResourceWNS+"/.default"), 400, "invalid_scope", 70011},
		{"a single permission", tenantID, form("scope", ResourceExchange+"/EWS.AccessAsUser.All"), 400, "invalid_scope", 1002012},
		{"another resource", tenantID, form("scope", "https://graph.microsoft.com/.default"), 400, "invalid_resource", 500011},
	} {
		status, _, answer := w.post(t, c.tenant, c.form, nil)
		codes, _ := answer["error_codes"].([]any)
		if status != c.status || answer["error"] != c.oauth || len(codes) != 1 || codes[0] != c.code {
			t.Errorf("%s: %d %v %v, want %d %s %v", c.name, status, answer["error"], codes, c.status, c.oauth, c.code)
		}
		if text, _ := answer["error_description"].(string); !strings.HasPrefix(text, fmt.Sprintf("AADSTS%.0f: ", c.code)) || !strings.Contains(text, "Trace ID: ") {
			t.Errorf("%s: description %q", c.name, text)
		}
	}
	status, _, answer := w.post(t, tenantID, form(), func(r *http.Request) { r.Header.Set("Content-Type", "application/json") })
	if status != 400 || answer["error"] != "invalid_request" {
		t.Errorf("wrong content type: %d %v", status, answer)
	}
}

// rsaCertificate is a self-signed certificate with an RSA key, which is what
// Entra accepts for applications.
func rsaCertificate(t *testing.T) (*x509.Certificate, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "app"}, NotBefore: testcert.NotBefore, NotAfter: testcert.NotAfter}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func assertion(t *testing.T, alg string, cert *x509.Certificate, key *rsa.PrivateKey, change func(claims map[string]any)) string {
	t.Helper()
	now := time.Now()
	claims := map[string]any{
		"aud": "https://login.microsoftonline.com/" + tenantID + "/oauth2/v2.0/token", "iss": clientID, "sub": clientID,
		"jti": guid(), "nbf": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	}
	if change != nil {
		change(claims)
	}
	h, _ := json.Marshal(header{Alg: alg, Typ: "JWT", X5TS256: base64.URLEncoding.EncodeToString(digest(cert.Raw))})
	b, _ := json.Marshal(claims)
	signed := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(b)
	var signature []byte
	var err error
	if alg == "RS256" {
		signature, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest([]byte(signed)))
	} else {
		signature, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest([]byte(signed)), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	}
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// Checklist auth 26.
func TestAssertionIsVerifiedInFull(t *testing.T) {
	cert, key := rsaCertificate(t)
	stranger, strangerKey := rsaCertificate(t)
	w := start(t, Options{Apps: []App{{ClientID: clientID, Tenant: tenantID, Certificates: []*x509.Certificate{cert}}}})
	try := func(a string) (int, map[string]any) {
		status, _, answer := w.post(t, tenantID, form("client_secret", "", "client_assertion", a, "client_assertion_type", assertionType), nil)
		return status, answer
	}
	for _, alg := range []string{"RS256", "PS256"} {
		good := assertion(t, alg, cert, key, nil)
		status, answer := try(good)
		if status != 200 {
			t.Fatalf("%s: %d %v", alg, status, answer)
		}
		if claims, err := w.Verify(answer["access_token"].(string), ResourceExchange); err != nil || claims.AppIDACR != "2" {
			t.Errorf("claims %+v, %v", claims, err)
		}
		if status, _ := try(good); status != 401 {
			t.Errorf("replayed: %d, want 401", status)
		}
	}
	set := func(name string, value any) func(map[string]any) { return func(c map[string]any) { c[name] = value } }
	now := time.Now()
	for name, a := range map[string]string{
		"unknown certificate":    assertion(t, "PS256", stranger, strangerKey, nil),
		"key of another":         assertion(t, "PS256", cert, strangerKey, nil),
		"other audience":         assertion(t, "PS256", cert, key, set("aud", "https://login.microsoftonline.com/other/oauth2/v2.0/token")),
		"other issuer":           assertion(t, "PS256", cert, key, set("iss", "x")),
		"other subject":          assertion(t, "PS256", cert, key, set("sub", "x")),
		"no jti":                 assertion(t, "PS256", cert, key, set("jti", "")),
		"expired":                assertion(t, "PS256", cert, key, set("exp", now.Add(-6*time.Minute).Unix())),
		"no expiry":              assertion(t, "PS256", cert, key, set("exp", 0)),
		"not yet valid":          assertion(t, "PS256", cert, key, set("nbf", now.Add(6*time.Minute).Unix())),
		"valid for days":         assertion(t, "PS256", cert, key, set("exp", now.Add(25*time.Hour).Unix())),
		"signed by nobody":       strings.TrimRight(assertion(t, "PS256", cert, key, nil), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"),
		"an algorithm not known": assertion(t, "none", cert, key, nil),
	} {
		if status, answer := try(a); status != 401 || answer["error"] != "invalid_client" {
			t.Errorf("%s: %d %v, want 401 invalid_client", name, status, answer["error"])
		}
	}
}

// Checklist auth 24, 26, 27.
func TestMSALGetsTokensBySecretAndByCertificate(t *testing.T) {
	cert, key := rsaCertificate(t)
	w := start(t, Options{Apps: []App{{ClientID: clientID, Tenant: tenantID, Secret: secret, Certificates: []*x509.Certificate{cert}}}})
	bySecret, err := confidential.NewCredFromSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	byCertificate, err := confidential.NewCredFromCert([]*x509.Certificate{cert}, key)
	if err != nil {
		t.Fatal(err)
	}
	for name, cred := range map[string]confidential.Credential{"secret": bySecret, "assertion": byCertificate} {
		for _, discovery := range []bool{true, false} {
			client, err := confidential.New("https://login.microsoftonline.com/"+domain, clientID, cred,
				confidential.WithHTTPClient(w.client), confidential.WithInstanceDiscovery(discovery), confidential.WithX5C())
			if err != nil {
				t.Fatal(err)
			}
			result, err := client.AcquireTokenByCredential(t.Context(), []string{ResourceExchange + "/.default"})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if _, err := w.VerifyToken(result.AccessToken); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := client.AcquireTokenByCredential(t.Context(), []string{ResourceExchange + "/.default"}); err != nil {
				t.Errorf("%s, cached: %v", name, err)
			}
		}
	}
	methods := map[string]int{}
	for _, e := range w.journal.After(0) {
		if e.Kind == "token" {
			methods[e.Detail["method"]]++
		}
	}
	if methods["secret"] != 2 || methods["assertion"] != 2 {
		t.Errorf("token requests %v, want two of each", methods)
	}
}

func TestMSALReportsTheErrorOfAWrongSecret(t *testing.T) {
	w := start(t, Options{})
	cred, err := confidential.NewCredFromSecret("guess")
	if err != nil {
		t.Fatal(err)
	}
	client, err := confidential.New("https://login.microsoftonline.com/"+tenantID, clientID, cred, confidential.WithHTTPClient(w.client), confidential.WithInstanceDiscovery(false))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.AcquireTokenByCredential(t.Context(), []string{ResourceExchange + "/.default"}); err == nil || !strings.Contains(err.Error(), "AADSTS7000215") {
		t.Errorf("error %v", err)
	}
}

// Checklist auth 30.
func TestVerifierRefusesWhatIsNotAGoodToken(t *testing.T) {
	w := start(t, Options{})
	app := App{ClientID: clientID, Roles: map[string][]string{ResourceExchange: {RoleFullAccess}}}
	mint := func(s *Server, app App, tenant Tenant, resource string, life time.Duration) string {
		token, err := s.Mint(app, tenant, resource, life)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	other := New(Options{Tenants: []Tenant{tenant}})
	good := mint(w.Server, app, tenant, ResourceExchange, time.Hour)
	if _, err := w.VerifyToken(good); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ token, category string }{
		"nothing":         {"", "invalid_signature"},
		"text":            {"hello", "invalid_signature"},
		"changed":         {good[:len(good)-8] + "AAAAAAAA", "invalid_signature"},
		"of another key":  {mint(other, app, tenant, ResourceExchange, time.Hour), "invalid_signature"},
		"expired":         {mint(w.Server, app, tenant, ResourceExchange, -time.Second), "token_expired"},
		"other audience":  {mint(w.Server, app, tenant, ResourceWNS, time.Hour), "invalid_resource"},
		"unknown tenant":  {mint(w.Server, app, Tenant{ID: "x"}, ResourceExchange, time.Hour), "invalid_tenant"},
		"without a role":  {mint(w.Server, App{ClientID: clientID, Roles: map[string][]string{}}, tenant, ResourceExchange, time.Hour), "invalid_grant"},
		"with other role": {mint(w.Server, App{ClientID: clientID, Roles: map[string][]string{ResourceExchange: {"Mail.Read"}}}, tenant, ResourceExchange, time.Hour), "invalid_grant"},
	} {
		var bad *iisauth.TokenError
		if _, err := w.VerifyToken(c.token); !errors.As(err, &bad) || bad.Category != c.category {
			t.Errorf("%s: %v, want %s", name, err, c.category)
		}
	}
}

// Checklist auth 28.
func TestTokensExpireOnTheFakeClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Tenants: []Tenant{tenant}})
		token, err := s.Mint(App{ClientID: clientID}, tenant, ResourceWNS, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour - time.Second)
		if _, err := s.Verify(token, ResourceWNS); err != nil {
			t.Errorf("a second before: %v", err)
		}
		time.Sleep(time.Second)
		if _, err := s.Verify(token, ResourceWNS); !errors.Is(err, ErrExpired) {
			t.Errorf("at the end: %v", err)
		}
	})
}

// Checklist auth 29 in part: a certificate of another name is the listener's.
func TestFaultsStrikeTokenRequests(t *testing.T) {
	w := start(t, Options{})
	for _, c := range []struct {
		fault  fault.Fault
		status int
		after  string
	}{
		{fault.Fault{Name: "entra.429", Args: map[string]string{"retry-after": "7"}}, 429, "7"},
		{fault.Fault{Name: "entra.503"}, 503, ""},
		{fault.Fault{Name: "entra.500"}, 500, ""},
		{fault.Fault{Name: "entra.refuse", Scope: fault.Scope{Account: clientID}}, 401, ""},
		{fault.Fault{Name: "entra.slow", Args: map[string]string{"for": "1ms"}}, 200, ""},
	} {
		c.fault.Count = 1
		if _, err := w.faults.Add(c.fault); err != nil {
			t.Fatal(err)
		}
		status, h, _ := w.post(t, tenantID, form(), nil)
		if status != c.status || h.Get("Retry-After") != c.after {
			t.Errorf("%s: %d, Retry-After %q", c.fault.Name, status, h.Get("Retry-After"))
		}
		if status, _, _ := w.post(t, tenantID, form(), nil); status != 200 {
			t.Errorf("after %s: %d", c.fault.Name, status)
		}
	}
}

func TestAppsMayChangeWhileTheServerRuns(t *testing.T) {
	w := start(t, Options{})
	w.PutApp(App{ClientID: clientID, Secret: "rotated", Tenant: tenantID})
	if status, _, _ := w.post(t, tenantID, form(), nil); status != 401 {
		t.Errorf("old secret: %d", status)
	}
	if status, _, _ := w.post(t, tenantID, form("client_secret", "rotated"), nil); status != 200 {
		t.Errorf("new secret: %d", status)
	}
	w.RemoveApp(clientID)
	if status, _, _ := w.post(t, tenantID, form("client_secret", "rotated"), nil); status != 400 {
		t.Errorf("removed: %d", status)
	}
}

func FuzzVerify(f *testing.F) {
	s := New(Options{Tenants: []Tenant{tenant}})
	token, err := s.Mint(App{ClientID: clientID}, tenant, ResourceWNS, time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, mutated string) {
		if _, err := s.Verify(mutated, ResourceWNS); err == nil && mutated != token && !strings.HasPrefix(mutated, token[:strings.LastIndexByte(token, '.')]) {
			t.Errorf("another token verifies")
		}
	})
}
