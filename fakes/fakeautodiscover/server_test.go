package fakeautodiscover

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ntlmssp "github.com/Azure/go-ntlmssp"
	"go.uber.org/goleak"

	"mailbell/fakes/fault"
	"mailbell/fakes/iisauth"
	"mailbell/fakes/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// users is a directory of which tests change entries.
type users map[string]UserSettings

func (u users) Settings(address string) (UserSettings, bool) {
	s, ok := u[address]
	return s, ok
}

func directory() users {
	ada := UserSettings{
		Address: "ada@contoso.test", DisplayName: "Ada Marsh", UserDN: "/o=Contoso/cn=ada", MailboxDN: "/o=Contoso/cn=ex01",
		ExternalEwsURL: "https://mail.contoso.test/EWS/Exchange.asmx", InternalEwsURL: "https://ex01.contoso.test/EWS/Exchange.asmx",
		Grouping: "SITE-A", Version: "15.01.2507.039", Schemas: []string{"Exchange2010_SP2", "Exchange2013_SP1"},
	}
	brook := ada
	brook.Address, brook.DisplayName, brook.ExternalEwsURL, brook.Grouping = "brook@contoso.test", "Brook & Co <b>", "", "SITE-B"
	cloud := ada
	cloud.Address, cloud.Online = "cloud@contoso.test", true
	return users{
		"ada@contoso.test": ada, "a.marsh@contoso.test": ada, "brook@contoso.test": brook, "cloud@contoso.test": cloud,
		"cleo@contoso.test": {RedirectAddress: "cleo@contoso.mail.onmicrosoft.com"},
		"dora@contoso.test": {RedirectURL: "https://other.contoso.test/autodiscover/autodiscover.svc"},
	}
}

type world struct {
	*Server
	journal *journal.Journal
	faults  *fault.Set
}

func start(t *testing.T, o Options) *world {
	t.Helper()
	w := &world{journal: journal.New(), faults: fault.New(1)}
	o.Journal, o.Faults = w.journal, w.faults
	if o.Directory == nil {
		o.Directory = directory()
	}
	w.Server = New(o)
	return w
}

// request is the published example, with these users and settings.
func request(t *testing.T, users, settings []string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/getusersettings_request.xml")
	if err != nil {
		t.Fatal(err)
	}
	var u, s strings.Builder
	for _, one := range users {
		fmt.Fprintf(&u, "<a:User><a:Mailbox>%s</a:Mailbox></a:User>", one)
	}
	for _, one := range settings {
		fmt.Fprintf(&s, "<a:Setting>%s</a:Setting>", one)
	}
	return strings.NewReplacer("{users}", u.String(), "{settings}", s.String()).Replace(string(b))
}

var allSettings = []string{"ExternalEwsUrl", "InternalEwsUrl", "GroupingInformation", "EwsSupportedSchemas", "CasVersion", "UserDisplayName", "MailboxDN", "AutoDiscoverSMTPAddress"}

func (w *world) do(t *testing.T, method, url, contentType, body string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec.Result()
}

func (w *world) soap(t *testing.T, body string) (int, reply) {
	t.Helper()
	resp := w.do(t, "POST", "https://autodiscover.contoso.test/autodiscover/autodiscover.svc", "text/xml; charset=utf-8", body)
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var r reply
	if err := xml.Unmarshal(b, &r); err != nil {
		t.Fatalf("%d: %v in %.300s", resp.StatusCode, err, b)
	}
	r.raw = string(b)
	return resp.StatusCode, r
}

// reply reads an answer as an independent client would, by full names.
type reply struct {
	raw     string
	XMLName xml.Name `xml:"http://schemas.xmlsoap.org/soap/envelope/ Envelope"`
	Header  struct {
		Version struct {
			Major int `xml:"http://schemas.microsoft.com/exchange/2010/Autodiscover MajorVersion"`
		} `xml:"http://schemas.microsoft.com/exchange/2010/Autodiscover ServerVersionInfo"`
	} `xml:"http://schemas.xmlsoap.org/soap/envelope/ Header"`
	Body struct {
		Fault *struct {
			Code   string `xml:"faultcode"`
			String string `xml:"faultstring"`
		} `xml:"http://schemas.xmlsoap.org/soap/envelope/ Fault"`
		Response struct {
			ErrorCode    string
			ErrorMessage string
			Users        []struct {
				ErrorCode string
				Redirect  struct {
					Nil  string `xml:"http://www.w3.org/2001/XMLSchema-instance nil,attr"`
					Text string `xml:",chardata"`
				} `xml:"RedirectTarget"`
				Errors []struct{ ErrorCode, SettingName string } `xml:"UserSettingErrors>UserSettingError"`
				Values []struct {
					Type        string `xml:"http://www.w3.org/2001/XMLSchema-instance type,attr"`
					Name, Value string
				} `xml:"UserSettings>UserSetting"`
			} `xml:"UserResponses>UserResponse"`
		} `xml:"GetUserSettingsResponseMessage>Response"`
	} `xml:"http://schemas.xmlsoap.org/soap/envelope/ Body"`
}

// outcomes is one word per user: the error code, and what goes with it.
func (r reply) outcomes() string {
	var out []string
	for _, u := range r.Body.Response.Users {
		word := u.ErrorCode
		if u.Redirect.Text != "" {
			word += "=" + u.Redirect.Text
		}
		out = append(out, word)
	}
	return strings.Join(out, " ")
}

func (r reply) value(i int, name string) string {
	for _, v := range r.Body.Response.Users[i].Values {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

// Checklist autodiscover 11, 18, 19.
func TestUsersOfABatchAreAnsweredByPosition(t *testing.T) {
	w := start(t, Options{})
	_, r := w.soap(t, request(t, []string{"ADA@contoso.test", "brook@contoso.test", "nobody@contoso.test", "cleo@contoso.test", "dora@contoso.test", "a.marsh@contoso.test"}, allSettings))
	want := "NoError NoError InvalidUser RedirectAddress=cleo@contoso.mail.onmicrosoft.com RedirectUrl=https://other.contoso.test/autodiscover/autodiscover.svc NoError"
	if got := r.outcomes(); got != want || r.Body.Response.ErrorCode != "NoError" {
		t.Fatalf("outcomes %s\nwant     %s", got, want)
	}
	if got := r.value(0, "ExternalEwsUrl"); got != "https://mail.contoso.test/EWS/Exchange.asmx" {
		t.Errorf("ExternalEwsUrl %q", got)
	}
	if got := r.value(0, "EwsSupportedSchemas"); got != "Exchange2010_SP2, Exchange2013_SP1" {
		t.Errorf("EwsSupportedSchemas %q", got)
	}
	if got := r.value(1, "UserDisplayName"); got != "Brook & Co <b>" {
		t.Errorf("UserDisplayName %q", got)
	}
	if got := r.value(5, "AutoDiscoverSMTPAddress"); got != "ada@contoso.test" {
		t.Errorf("address of an alias %q", got)
	}
	errors := r.Body.Response.Users[1].Errors
	if len(errors) != 1 || errors[0].ErrorCode != "SettingIsNotAvailable" || errors[0].SettingName != "ExternalEwsUrl" {
		t.Errorf("errors of an unset setting %v", errors)
	}
	for i, u := range r.Body.Response.Users {
		if (u.Redirect.Nil == "true") != (u.Redirect.Text == "") {
			t.Errorf("user %d: nil %q with target %q", i, u.Redirect.Nil, u.Redirect.Text)
		}
	}
	e := w.journal.After(0)[0]
	if e.Operation != "GetUserSettings" || e.Mailbox != "ada@contoso.test" || e.Status != 200 || e.Detail["users"] != "6" {
		t.Errorf("journal %+v", e)
	}
}

// Checklist autodiscover 12, 13.
func TestOnlyRequestedSettingsComeInAnotherOrder(t *testing.T) {
	w := start(t, Options{})
	_, r := w.soap(t, request(t, []string{"ada@contoso.test"}, []string{"GroupingInformation", "ExternalEwsUrl", "UserDisplayName", "Wallpaper", "ActiveDirectoryServer"}))
	u := r.Body.Response.Users[0]
	if got := fmt.Sprint(u.Values); got != "[{StringSetting UserDisplayName Ada Marsh} {StringSetting ExternalEwsUrl https://mail.contoso.test/EWS/Exchange.asmx} {StringSetting GroupingInformation SITE-A}]" {
		t.Errorf("settings %s", got)
	}
	if got := fmt.Sprint(u.Errors); got != "[{SettingIsNotAvailable ActiveDirectoryServer} {InvalidSetting Wallpaper}]" {
		t.Errorf("errors %s", got)
	}
	_, r = start(t, Options{Silent: true}).soap(t, request(t, []string{"ada@contoso.test"}, []string{"ExternalEwsUrl", "Wallpaper"}))
	if got := r.Body.Response.Users[0]; len(got.Errors) != 0 || len(got.Values) != 1 {
		t.Errorf("silent: %+v", got)
	}
}

// Checklist autodiscover 16.
func TestExchange2010KnowsNoGrouping(t *testing.T) {
	w := start(t, Options{Version: ServerVersion{Major: 14, Minor: 3, Label: "Exchange2010_SP2"}})
	_, r := w.soap(t, request(t, []string{"ada@contoso.test"}, []string{"GroupingInformation"}))
	if got := fmt.Sprint(r.Body.Response.Users[0].Errors); got != "[{InvalidSetting GroupingInformation}]" || r.Header.Version.Major != 14 {
		t.Errorf("errors %s of version %d", got, r.Header.Version.Major)
	}
}

// Checklist autodiscover 17.
func TestMovedMailboxHasOtherSettingsAtOnce(t *testing.T) {
	d := directory()
	w := start(t, Options{Directory: d})
	moved := d["ada@contoso.test"]
	moved.Grouping = "SITE-Z"
	d["ada@contoso.test"] = moved
	if _, r := w.soap(t, request(t, []string{"ada@contoso.test"}, allSettings)); r.value(0, "GroupingInformation") != "SITE-Z" {
		t.Error(r.raw)
	}
}

// Checklist autodiscover 7, 9, 10.
func TestRequestsAreReadStrictly(t *testing.T) {
	good := request(t, []string{"ada@contoso.test"}, allSettings)
	three := request(t, []string{"a@x", "b@x", "c@x"}, allSettings)
	many := request(t, []string{"a@x", "b@x", "c@x", "d@x"}, allSettings)
	for name, c := range map[string]struct {
		body   string
		status int
		code   string // ErrorCode of the response, or the fault's code
	}{
		"good":                    {good, 200, "NoError"},
		"https namespaces":        {strings.ReplaceAll(good, "http://schemas.microsoft.com", "https://schemas.microsoft.com"), 500, "s:Client"},
		"https SOAP namespace":    {strings.ReplaceAll(good, "http://schemas.xmlsoap.org", "https://schemas.xmlsoap.org"), 500, "s:Client"},
		"SOAP 1.2":                {strings.ReplaceAll(good, "http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"), 500, "s:Client"},
		"no action":               {strings.ReplaceAll(good, "wsa:Action", "wsa:Reaction"), 500, "s:Client"},
		"unknown action":          {strings.ReplaceAll(good, "/GetUserSettings<", "/GetDomainSettings<"), 500, "s:Client"},
		"stray element":           {strings.ReplaceAll(good, "<a:Request>", "<a:Request><Odd/>"), 500, "s:Client"},
		"not XML":                 {"{}", 500, "s:Client"},
		"truncated":               {good[:len(good)/2], 500, "s:Client"},
		"document type":           {strings.Replace(good, "<soap:Envelope", "<!DOCTYPE x><soap:Envelope", 1), 500, "s:Client"},
		"EWS version":             {strings.ReplaceAll(good, "Exchange2010_SP2", "V2015_10_05"), 200, "InvalidRequest"},
		"no version":              {strings.ReplaceAll(good, "a:RequestedServerVersion", "a:OtherVersion"), 200, "InvalidRequest"},
		"no users":                {request(t, nil, allSettings), 200, "InvalidRequest"},
		"no settings":             {request(t, []string{"ada@contoso.test"}, nil), 200, "InvalidRequest"},
		"as many users as may be": {three, 200, "NoError"},
		"too many users":          {many, 200, "InvalidRequest"},
	} {
		t.Run(name, func(t *testing.T) {
			status, r := start(t, Options{UsersMax: 3}).soap(t, c.body)
			got := r.Body.Response.ErrorCode
			if r.Body.Fault != nil {
				got = r.Body.Fault.Code
			}
			if status != c.status || got != c.code {
				t.Errorf("%d %s, want %d %s: %.400s", status, got, c.status, c.code, r.raw)
			}
			if got == "InvalidRequest" && len(r.Body.Response.Users) != 0 {
				t.Error("users are answered all the same")
			}
		})
	}
	status, r := start(t, Options{VersionFault: true}).soap(t, strings.ReplaceAll(good, "Exchange2010_SP2", "V2015_10_05"))
	if status != 500 || r.Body.Fault == nil || r.Body.Fault.String != "The RequestedServerVersion header is missing or invalid." {
		t.Errorf("version as a fault: %d %s", status, r.raw)
	}
}

// Checklist autodiscover 4, 8.
func TestTransportRules(t *testing.T) {
	w := start(t, Options{})
	good := request(t, []string{"ada@contoso.test"}, allSettings)
	for _, c := range []struct {
		method, path, contentType string
		status                    int
	}{
		{"POST", "/autodiscover/autodiscover.svc", "text/xml", 200},
		{"POST", "/Autodiscover/AUTODISCOVER.svc", "text/xml; charset=utf-8", 200},
		{"POST", "/autodiscover/autodiscover.svc", "application/soap+xml", 415},
		{"GET", "/autodiscover/autodiscover.svc", "text/xml", 405},
		{"POST", "/autodiscover/other.svc", "text/xml", 404},
		{"GET", "/", "", 404},
	} {
		if resp := w.do(t, c.method, "https://x"+c.path, c.contentType, good); resp.StatusCode != c.status {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, resp.StatusCode, c.status)
		}
	}
	if resp := start(t, Options{SOAPOff: true}).do(t, "POST", "https://x/autodiscover/autodiscover.svc", "text/xml", good); resp.StatusCode != 404 {
		t.Errorf("SOAP off: %d", resp.StatusCode)
	}
}

// Checklist autodiscover 14, 15.
func TestStylesMeanTheSame(t *testing.T) {
	for i, style := range []Style{{}, {Declaration: true, OpenEmpty: true}, {Prefix: "q", Reverse: true}, {Unasked: true, Prefix: "q"}} {
		w := start(t, Options{Style: style})
		_, r := w.soap(t, request(t, []string{"ada@contoso.test", "nobody@contoso.test"}, allSettings))
		if r.outcomes() != "NoError InvalidUser" || r.value(0, "GroupingInformation") != "SITE-A" {
			t.Errorf("style %d: %s", i, r.raw)
		}
		if got := strings.Contains(r.raw, "WebClientUrlCollectionSetting"); got != style.Unasked {
			t.Errorf("style %d: unasked setting %v", i, got)
		}
	}
	w := start(t, Options{Profile: fault.Hostile, Seed: 3})
	seen := map[string]bool{}
	for range 30 {
		_, r := w.soap(t, request(t, []string{"ada@contoso.test"}, allSettings))
		seen[r.raw] = true
		if r.value(0, "GroupingInformation") != "SITE-A" {
			t.Error(r.raw)
		}
	}
	if len(seen) < 5 {
		t.Errorf("%d variants of 30 answers", len(seen))
	}
}

// Checklist autodiscover 23.
func TestMisbehavingAddressesNeedNoSetup(t *testing.T) {
	w := start(t, Options{})
	_, r := w.soap(t, request(t, []string{
		"autodiscover-busy@x.test", "autodiscover-internal@x.test", "autodiscover-domain@x.test", "autodiscover-loop-a@x.test", "autodiscover-loop-b@x.test",
		"autodiscover-self@x.test", "autodiscover-url@x.test", "autodiscover-url-http@x.test", "autodiscover-url-foreign@x.test", "autodiscover-none@x.test",
	}, allSettings))
	want := "ServerBusy InternalServerError InvalidDomain RedirectAddress=autodiscover-loop-b@x.test RedirectAddress=autodiscover-loop-a@x.test " +
		"RedirectAddress=autodiscover-self@x.test RedirectUrl=https://autodiscover.x.test/autodiscover/autodiscover.svc " +
		"RedirectUrl=http://autodiscover.x.test/autodiscover/autodiscover.svc RedirectUrl=https://autodiscover.stranger.test/autodiscover/autodiscover.svc InvalidUser"
	if got := r.outcomes(); got != want {
		t.Errorf("outcomes %s\nwant     %s", got, want)
	}
}

// Checklist autodiscover 28-30.
func TestFaultsOfTheServiceStrike(t *testing.T) {
	body := request(t, []string{"ada@contoso.test", "brook@contoso.test", "cloud@contoso.test"}, allSettings)
	for _, c := range []struct {
		fault    fault.Fault
		status   int
		code     string
		outcomes string
	}{
		{fault.Fault{Name: "autodiscover.busy"}, 200, "ServerBusy", ""},
		{fault.Fault{Name: "autodiscover.internal"}, 200, "InternalServerError", ""},
		{fault.Fault{Name: "autodiscover.internal", Args: map[string]string{"level": "user"}}, 200, "NoError", "InternalServerError InternalServerError InternalServerError"},
		{fault.Fault{Name: "autodiscover.truncated"}, 200, "NoError", "NoError"},
		{fault.Fault{Name: "autodiscover.truncated", Args: map[string]string{"keep": "2"}}, 200, "NoError", "NoError NoError"},
		{fault.Fault{Name: "autodiscover.500"}, 500, "", ""},
		{fault.Fault{Name: "autodiscover.slow", Args: map[string]string{"for": "1ms"}}, 200, "NoError", "NoError NoError NoError"},
		{fault.Fault{Name: "autodiscover.large", Args: map[string]string{"bytes": "100000"}}, 200, "NoError", ""},
	} {
		w := start(t, Options{})
		c.fault.Count = 1
		c.fault.Scope = fault.Scope{Mailbox: "ada@contoso.test"}
		if _, err := w.faults.Add(c.fault); err != nil {
			t.Fatal(err)
		}
		status, r := w.soap(t, body)
		if status != c.status || r.Body.Response.ErrorCode != c.code || r.outcomes() != c.outcomes {
			t.Errorf("%s: %d %s %q", c.fault.Name, status, r.Body.Response.ErrorCode, r.outcomes())
		}
		if c.fault.Name == "autodiscover.large" && len(r.raw) < 100000 {
			t.Errorf("large answer has %d bytes", len(r.raw))
		}
		if _, r := w.soap(t, body); r.outcomes() != "NoError NoError NoError" {
			t.Errorf("after %s: %q", c.fault.Name, r.outcomes())
		}
	}
	w := start(t, Options{})
	if _, err := w.faults.Add(fault.Fault{Name: "autodiscover.internal", Count: 1, Args: map[string]string{"level": "setting"}}); err != nil {
		t.Fatal(err)
	}
	if _, r := w.soap(t, body); r.Body.Response.Users[0].Errors[0].ErrorCode != "InternalServerError" {
		t.Errorf("setting level: %s", r.raw)
	}
}

// Checklist autodiscover 27.
func TestServerBusyHasTheObservedForm(t *testing.T) {
	w := start(t, Options{})
	if _, err := w.faults.Add(fault.Fault{Name: "autodiscover.busy"}); err != nil {
		t.Fatal(err)
	}
	_, r := w.soap(t, request(t, []string{"ada@contoso.test"}, allSettings))
	if !strings.Contains(r.raw, "<ErrorCode>ServerBusy</ErrorCode><ErrorMessage>The server is too busy to process the request.</ErrorMessage><UserResponses/>") {
		t.Error(r.raw)
	}
}

// Checklist autodiscover 22, 29.
func TestFaultsBeforeAuthenticationStrike(t *testing.T) {
	for _, c := range []struct {
		fault    fault.Fault
		status   int
		header   string
		value    string
		fragment string
	}{
		{fault.Fault{Name: "autodiscover.503"}, 503, "Retry-After", "", "Unavailable"},
		{fault.Fault{Name: "autodiscover.503", Args: map[string]string{"retry-after": "9"}}, 503, "Retry-After", "9", ""},
		{fault.Fault{Name: "autodiscover.html"}, 200, "Content-Type", "text/html", "<!doctype html>"},
		{fault.Fault{Name: "autodiscover.redirect", Args: map[string]string{"to": "https://b.test/autodiscover/autodiscover.svc", "status": "307"}}, 307, "Location", "https://b.test/autodiscover/autodiscover.svc", ""},
		{fault.Fault{Name: "autodiscover.redirect-http"}, 302, "Location", "http://a.test/autodiscover/autodiscover.svc", ""},
		{fault.Fault{Name: "autodiscover.redirect-loop"}, 302, "Location", "https://a.test/autodiscover/autodiscover.svc", ""},
	} {
		w := start(t, Options{Site: iisauth.New(iisauth.Options{})})
		if _, err := w.faults.Add(c.fault); err != nil {
			t.Fatal(err)
		}
		resp := w.do(t, "POST", "https://a.test/autodiscover/autodiscover.svc", "text/xml", "x")
		b, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != c.status || resp.Header.Get(c.header) != c.value || !strings.Contains(string(b), c.fragment) {
			t.Errorf("%s: %d %q", c.fault.Name, resp.StatusCode, resp.Header)
		}
	}
}

// Checklist autodiscover 29.
func TestBrokenAnswersReachTheClientBroken(t *testing.T) {
	w := start(t, Options{})
	server := httptest.NewServer(w)
	defer server.Close()
	post := func() ([]byte, error) {
		resp, err := server.Client().Post(server.URL+"/autodiscover/autodiscover.svc", "text/xml", strings.NewReader(request(t, []string{"ada@contoso.test"}, allSettings)))
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		return io.ReadAll(resp.Body)
	}
	for _, name := range []string{"autodiscover.reset", "autodiscover.cut-xml"} {
		if _, err := w.faults.Add(fault.Fault{Name: name, Count: 1}); err != nil {
			t.Fatal(err)
		}
		b, err := post()
		if (err != nil) != (name == "autodiscover.reset") {
			t.Errorf("%s: error %v", name, err)
		}
		if xml.Unmarshal(b, new(reply)) == nil {
			t.Errorf("%s: the answer is whole", name)
		}
	}
}

// Checklist autodiscover 27.
func TestBudgetMakesTheServerBusyUntilItRefills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, Options{BudgetBurst: 2, BudgetPerSecond: 1})
		body := request(t, []string{"ada@contoso.test", "brook@contoso.test"}, allSettings)
		for i, want := range []string{"NoError", "ServerBusy", "NoError"} {
			if _, r := w.soap(t, body); r.Body.Response.ErrorCode != want {
				t.Errorf("request %d: %s, want %s", i, r.Body.Response.ErrorCode, want)
			}
			if i == 1 {
				time.Sleep(2 * time.Second)
			}
		}
	})
}

// Checklist autodiscover 3, 6.
func TestSiteAuthenticatesAndTheProbeShowsCapabilities(t *testing.T) {
	site := iisauth.New(iisauth.Options{
		Directory: iisauth.Accounts{{User: "svc", NetBIOS: "CONTOSO", Password: "pw-of-svc"}},
		Schemes:   []string{"Negotiate", "NTLM", "Basic"},
	})
	w := start(t, Options{Site: site})
	server := httptest.NewUnstartedServer(w)
	server.Config.ConnContext = site.ConnContext
	server.StartTLS()
	defer server.Close()
	resp, err := server.Client().Get(server.URL + "/autodiscover/autodiscover.xml")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 401 || resp.Header.Get("X-SOAP-Enabled") != "True" || resp.Header.Get("X-OAuth-Enabled") != "True" || len(resp.Header.Values("WWW-Authenticate")) != 3 {
		t.Errorf("probe: %d %v", resp.StatusCode, resp.Header)
	}
	req, _ := http.NewRequestWithContext(t.Context(), "POST", server.URL+"/autodiscover/autodiscover.svc", strings.NewReader(request(t, []string{"ada@contoso.test"}, allSettings)))
	req.Header.Set("Content-Type", "text/xml")
	req.SetBasicAuth(`CONTOSO\svc`, "pw-of-svc")
	resp, err = ntlmssp.Negotiator{RoundTripper: server.Client().Transport}.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	entries := w.journal.After(0)
	if last := entries[len(entries)-1]; resp.StatusCode != 200 || last.Account != "svc" || last.Conn == 0 {
		t.Errorf("%d, journal %+v", resp.StatusCode, last)
	}
	if resp := start(t, Options{Site: site, SOAPOff: true}).do(t, "GET", "https://x/autodiscover/autodiscover.xml", "", ""); resp.Header.Get("X-SOAP-Enabled") != "" {
		t.Error("SOAP is off and announced")
	}
	resp, err = server.Client().Get(server.URL + "/autodiscover/autodiscover.json/v1.0/ada@contoso.test?Protocol=EWS")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("version 2 without credentials: %d", resp.StatusCode)
	}
}

func pox(address string) string {
	return `<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="` + nsPOXRequest + `"><Request><EMailAddress>` + address +
		`</EMailAddress><AcceptableResponseSchema>` + nsPOXResponse + `</AcceptableResponseSchema></Request></Autodiscover>`
}

// Checklist autodiscover 32.
func TestPOXAnswersOneUser(t *testing.T) {
	w := start(t, Options{})
	const path = "https://x/autodiscover/autodiscover.xml"
	for name, c := range map[string]struct {
		method, body string
		want         []string
		absent       string
	}{
		"settings": {"POST", pox("a.marsh@contoso.test"), []string{
			"<AutoDiscoverSMTPAddress>ada@contoso.test<", "<Type>EXCH</Type>", "<EwsUrl>https://ex01.contoso.test/EWS/Exchange.asmx</EwsUrl>",
			"<Type>EXPR</Type>", "<GroupingInformation>SITE-A</GroupingInformation>", "<Type>WEB</Type><Internal><Protocol>", "<Action>settings</Action>",
		}, "<Error"},
		"redirectAddr":    {"POST", pox("cleo@contoso.test"), []string{"<Action>redirectAddr</Action><RedirectAddr>cleo@contoso.mail.onmicrosoft.com<"}, "<Error"},
		"redirectUrl":     {"POST", pox("dora@contoso.test"), []string{"<Action>redirectUrl</Action><RedirectUrl>https://other.contoso.test/autodiscover/autodiscover.xml<"}, "<Error"},
		"unknown user":    {"POST", pox("nobody@contoso.test"), []string{"<ErrorCode>500</ErrorCode>"}, "<Account>"},
		"GET":             {"GET", "", []string{"<ErrorCode>600</ErrorCode><Message>Invalid Request<"}, "<Account>"},
		"wrong namespace": {"POST", strings.Replace(pox("ada@contoso.test"), "http:", "https:", 1), []string{"<ErrorCode>600</ErrorCode>"}, "<Account>"},
		"other schema":    {"POST", strings.Replace(pox("ada@contoso.test"), "2006a", "2007", 1), []string{"<ErrorCode>601</ErrorCode>"}, "<Account>"},
	} {
		resp := w.do(t, c.method, path, "text/xml", c.body)
		b, _ := io.ReadAll(resp.Body)
		for _, want := range c.want {
			if resp.StatusCode != 200 || !bytes.Contains(b, []byte(want)) {
				t.Errorf("%s: %d without %s in %s", name, resp.StatusCode, want, b)
			}
		}
		if bytes.Contains(b, []byte(c.absent)) {
			t.Errorf("%s: contains %s", name, c.absent)
		}
		if err := xml.Unmarshal(b, new(struct{ XMLName xml.Name })); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	resp := start(t, Options{POXWithoutEwsURL: true}).do(t, "POST", path, "text/xml", pox("ada@contoso.test"))
	if b, _ := io.ReadAll(resp.Body); bytes.Contains(b, []byte("EwsUrl")) || !bytes.Contains(b, []byte("<ASUrl>https://mail.contoso.test/")) {
		t.Errorf("only ASUrl: %s", b)
	}
}

// Checklist autodiscover 33.
func TestVersion2TellsAURLAndNothingElse(t *testing.T) {
	w := start(t, Options{})
	for path, c := range map[string]struct {
		status int
		body   string
	}{
		"/v1.0/ada@contoso.test?Protocol=EWS":                              {200, `{"Protocol":"EWS","Url":"https://mail.contoso.test/EWS/Exchange.asmx"}`},
		"?Email=ADA@contoso.test&protocol=ews&RedirectCount=1":             {200, `{"Protocol":"EWS","Url":"https://mail.contoso.test/EWS/Exchange.asmx"}`},
		"/v1.0/brook@contoso.test?Protocol=EWS":                            {200, `{"Protocol":"EWS","Url":"https://ex01.contoso.test/EWS/Exchange.asmx"}`},
		"/v1.0/ada@contoso.test?Protocol=AutodiscoverV1":                   {200, `{"Protocol":"AutodiscoverV1","Url":"https://x/autodiscover/autodiscover.xml"}`},
		"/v1.0/cloud@contoso.test?Protocol=EWS&ServerLocation=true":        {200, `{"Protocol":"EWS","Url":"https://mail.contoso.test/EWS/Exchange.asmx","ServerLocation":"EURPRD01"}`},
		"/v1.0/ada@contoso.test?Protocol=EWS&ServerLocation=true":          {200, `{"Protocol":"EWS","Url":"https://mail.contoso.test/EWS/Exchange.asmx"}`},
		"/v1.0/ada@contoso.test?Protocol=Gopher":                           {400, "InvalidProtocol"},
		"/v1.0/ada@contoso.test":                                           {400, "MandatoryParameterMissing"},
		"/v1.0/nobody@contoso.test?Protocol=EWS":                           {404, "UserNotFound"},
		"/v1.0/cleo@contoso.test?Protocol=EWS":                             {302, ""},
		"/v1.0/autodiscover-url-foreign@contoso.test?Protocol=EWS&Extra=1": {302, ""},
	} {
		resp := w.do(t, "GET", "https://x/autodiscover/autodiscover.json"+path, "", "")
		b, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != c.status || !strings.Contains(string(b), c.body) {
			t.Errorf("%s: %d %s", path, resp.StatusCode, b)
		}
		if resp.StatusCode != 302 && !json.Valid(b) {
			t.Errorf("%s: not JSON: %s", path, b)
		}
		if resp.StatusCode == 302 && !strings.HasPrefix(resp.Header.Get("Location"), "https://") {
			t.Errorf("%s: to %q", path, resp.Header.Get("Location"))
		}
	}
}

// Checklist autodiscover 2, 26.
func TestPlainHTTPRedirectsAndRecordsSecrets(t *testing.T) {
	w := start(t, Options{ProbeRedirect: "https://mail.contoso.test/autodiscover/autodiscover.xml"})
	get := func(handler http.Handler, change func(*http.Request)) *http.Response {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "http://autodiscover.contoso.test/autodiscover/autodiscover.xml", nil)
		if change != nil {
			change(r)
		}
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		return rec.Result()
	}
	violations := func() (out []string) {
		for _, e := range w.journal.After(0) {
			if e.Kind == "violation" {
				out = append(out, e.Reason)
			}
		}
		return out
	}
	if resp := get(w.Probe(), nil); resp.StatusCode != 302 || resp.Header.Get("Location") != "https://mail.contoso.test/autodiscover/autodiscover.xml" || len(violations()) != 0 {
		t.Errorf("%d to %q, violations %v", resp.StatusCode, resp.Header.Get("Location"), violations())
	}
	get(w.Probe(), func(r *http.Request) { r.SetBasicAuth("svc", "pw-of-svc"); r.Header.Set("Cookie", "a=b") })
	get(w.Trap(), nil)
	if got := fmt.Sprint(violations()); got != "[plain-http-credentials plain-http-cookie trap]" {
		t.Errorf("violations %s", got)
	}
	if b, _ := json.Marshal(w.journal.After(0)); bytes.Contains(b, []byte("pw-of-svc")) {
		t.Error("the journal contains the password")
	}
}

func TestBearerWithoutAnchorIsAViolation(t *testing.T) {
	w := start(t, Options{})
	r := httptest.NewRequestWithContext(t.Context(), "POST", "https://x/autodiscover/autodiscover.svc", strings.NewReader(request(t, []string{"ada@contoso.test"}, allSettings)))
	r.Header.Set("Content-Type", "text/xml")
	w.ServeHTTP(httptest.NewRecorder(), iisauth.WithIdentity(r, iisauth.Identity{Account: "app", AppOnly: true}))
	if e := w.journal.After(0)[0]; e.Kind != "violation" || e.Reason != "anchor-missing" {
		t.Errorf("first entry %+v", e)
	}
}

func TestWithoutADirectoryNobodyIsKnown(t *testing.T) {
	r := httptest.NewRequestWithContext(t.Context(), "GET", "https://x/autodiscover/autodiscover.json/v1.0/ada@contoso.test?Protocol=EWS", nil)
	w := httptest.NewRecorder()
	New(Options{}).ServeHTTP(w, r)
	if w.Code != 404 {
		t.Error(w.Code)
	}
}

func BenchmarkBatchOf100Of15000(b *testing.B) {
	d := users{}
	var batch []string
	for i := range 15000 {
		a := fmt.Sprintf("u%d@contoso.test", i)
		d[a] = UserSettings{Address: a, ExternalEwsURL: "https://mail.contoso.test/EWS/Exchange.asmx", Grouping: "G"}
		if i < 100 {
			batch = append(batch, a)
		}
	}
	s := New(Options{Directory: d})
	q := getUserSettings{users: batch, settings: allSettings}
	for b.Loop() {
		answers := make([]userAnswer, 0, len(batch))
		for _, a := range q.users {
			answers = append(answers, s.answer(a, q.settings))
		}
		_ = s.envelope(Style{}, "NoError", "", answers)
	}
}

// FuzzRequest: whatever comes in, there is an answer within a second, it is
// well-formed XML, and what is no envelope is answered by a fault.
func FuzzRequest(f *testing.F) {
	b, err := os.ReadFile("testdata/getusersettings_request.xml")
	if err != nil {
		f.Fatal(err)
	}
	good := strings.NewReplacer("{users}", "<a:User><a:Mailbox>ada@contoso.test</a:Mailbox></a:User>", "{settings}", "<a:Setting>ExternalEwsUrl</a:Setting>").Replace(string(b))
	for _, seed := range []string{good, string(b), "", "<a/>", "\ufeff<a/><b/>", "<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", good[:len(good)/2], pox("ada@contoso.test"), pox("")} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	s := New(Options{Directory: directory()})
	f.Fuzz(func(t *testing.T, document []byte, soap bool) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		path := pathPOX
		if soap {
			path = pathSOAP
		}
		r := httptest.NewRequestWithContext(ctx, "POST", path, bytes.NewReader(document))
		r.Header.Set("Content-Type", "text/xml")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if ctx.Err() != nil {
			t.Fatal("no answer within a second")
		}
		var answer struct{ XMLName xml.Name }
		if err := xml.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatalf("%d: %v in %s", w.Code, err, w.Body)
		}
		isFault := bytes.Contains(w.Body.Bytes(), []byte("<s:Fault>"))
		if isFault != (w.Code == 500) || !isFault && w.Code != 200 {
			t.Fatalf("%d with %s", w.Code, w.Body)
		}
		var envelope struct {
			XMLName xml.Name `xml:"http://schemas.xmlsoap.org/soap/envelope/ Envelope"`
		}
		if soap && !isFault && xml.Unmarshal(document, &envelope) != nil {
			t.Fatalf("no envelope, and the answer is %s", w.Body)
		}
	})
}
