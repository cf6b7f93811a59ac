package config_test

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/app"
	"mailbell/notifier/compose"
	"mailbell/notifier/config"
	"mailbell/notifier/httpauth"
	"mailbell/notifier/wns"
)

// load loads a configuration that has to be good.
func load(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Load(place(t, text))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestAGoodFileBecomesTheOptionsItSays(t *testing.T) {
	c := load(t, `engine: {dir: data, encryption_key_file: engine.key, sync: always, ledger_age: 48h}
exchange:
  accounts:
    - {user: 'CONTOSO\svc-mailbell', password_file: listener.password, mailboxes: 500, requests: 4}
    - {name: second, user: svc2@contoso.test, password_file: bom.password, authentication: basic}
  ews_url: https://mail.contoso.test/EWS/Exchange.asmx
  schema: Exchange2010_SP2
  badge: false
  silence: 90s
push:
  apns:
    - {key_file: apple.p8, key_id: ABC123DEFG, team_id: DEF123GHIJ}
    - {environment: development, certificate_file: apple.p12, password_file: apple.password, lanes: 4}
  wns:
    - {name: mail, package_sid: ms-app://s-1-15-2-1, secret_file: wns.secret, rate: 300}
policy:
  - {mailboxes: [boss@contoso.test], show: nothing}
  - {mailboxes: ['*@contoso.test', '*@fabrikam.test'], preview: true, suppress: [meetings], quiet_hours: {from: '22:00', to: '07:00', zone: Asia/Tokyo}}
api: {listen: '127.0.0.1:8443', authority_keys: [authority.pem]}
log: {format: text, level: debug}
`)
	o := c.Options
	if len(o.Exchange.Accounts) != 2 {
		t.Fatalf("%d accounts", len(o.Exchange.Accounts))
	}
	first, second := o.Exchange.Accounts[0], o.Exchange.Accounts[1]
	if want := (httpauth.NTLM{User: `CONTOSO\svc-mailbell`, Password: secret + " listener"}); first.Credentials != want || first.Mailboxes != 500 || first.RequestsMax != 4 {
		t.Errorf("first account %+v", first)
	}
	if want := (httpauth.Basic{User: "svc2@contoso.test", Password: secret + " after a mark"}); second.Credentials != want || second.Name != "second" {
		t.Errorf("second account %+v", second)
	}
	if x := o.Exchange; x.EWSURL != "https://mail.contoso.test/EWS/Exchange.asmx" || x.Schema != "Exchange2010_SP2" || !x.NoBadge || x.SilenceMax != 90*time.Second {
		t.Errorf("exchange %+v", x)
	}
	if len(o.APNs) != 2 || o.APNs[0].Environment != notifier.Production || o.APNs[0].Key == nil || o.APNs[1].Environment != notifier.Development || o.APNs[1].Certificate == nil || o.APNs[1].Lanes != 4 {
		t.Errorf("apns %+v", o.APNs)
	}
	if len(o.WNS) != 1 || o.WNS[0].Name != "mail" || o.WNS[0].Kind != wns.PartnerCenter || o.WNS[0].RateMax != 300 {
		t.Errorf("wns %+v", o.WNS)
	}
	var patterns []string
	for _, r := range o.Policy.Rules {
		patterns = append(patterns, string(r.Mailbox))
	}
	if want := []string{"boss@contoso.test", "*@contoso.test", "*@fabrikam.test"}; !reflect.DeepEqual(patterns, want) {
		t.Errorf("rules for %q, want %q", patterns, want)
	}
	if r := o.Policy.Rules; r[0].Show != compose.ShowNothing || !r[0].Approved || !r[2].Preview || len(r[2].Suppress) != 1 {
		t.Errorf("rules %+v", r)
	}
	if !filepath.IsAbs(o.Engine.Dir) && !strings.HasSuffix(o.Engine.Dir, "data") {
		t.Errorf("engine directory %q", o.Engine.Dir)
	}
	var log bytes.Buffer
	c.Logger(&log).Debug("heard")
	if !strings.Contains(log.String(), "level=DEBUG msg=heard") {
		t.Errorf("the log is %q", log.String())
	}
}

func TestFilesAreRelativeToTheDirectoryOfTheConfiguration(t *testing.T) {
	path := place(t, good)
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if want := filepath.Join(filepath.Dir(path), "data"); c.Options.Engine.Dir != want {
		t.Errorf("the store is in %q, want %q", c.Options.Engine.Dir, want)
	}
}

func TestARoleNeedsItsSectionsOnly(t *testing.T) {
	for role, text := range map[app.Role]string{
		app.Portal:   "policy:\n  - mailboxes: ['*']\napi: {listen: '127.0.0.1:0', authority_keys: [authority.pem]}\n",
		app.Extender: "exchange: {accounts: [{user: 'CONTOSO\\svc', password_file: listener.password}]}\npolicy:\n  - mailboxes: ['*']\n",
		app.Proxy:    "push: {wns: [{package_sid: 'ms-app://s-1-15-2-1', secret_file: wns.secret}]}\n",
	} {
		c := load(t, "roles: ["+string(role)+"]\nengine: {dir: data, encryption_key_file: engine.key}\n"+text)
		if len(c.Options.Roles) != 1 || c.Options.Roles[0] != role {
			t.Errorf("roles %v, want %s", c.Options.Roles, role)
		}
	}
}

// TestTheExampleIsGoodOnceItsFilesAreThere holds the example against Load: as it
// is, and with everything that is behind a # switched on by turns.
func TestTheExampleIsGoodOnceItsFilesAreThere(t *testing.T) {
	text := config.Example()
	for named, stands := range map[string]string{"listener-1.password": "listener.password", "AuthKey_ABC123DEFG.p8": "apple.p8"} {
		text = strings.ReplaceAll(text, named, stands)
	}
	if c := load(t, text); len(c.Options.Roles) != 0 || len(c.Options.Policy.Rules) != 1 || len(c.Options.Exchange.Accounts) != 1 {
		t.Errorf("%+v", c.Options)
	}
	// A default that is written out changes nothing.
	for _, line := range regexp.MustCompile(`(?m)^ *#(schema|badge|silence|audit|sync|ledger_age|dedupe_window|disk_max_mib|mailboxes|requests|environment|lanes|rate|approved|show|preview|important_only|sound|expiry|audience):.*$`).FindAllString(text, -1) {
		load(t, strings.Replace(text, line, strings.Replace(line, "#", "", 1), 1))
	}
}

func TestTheExampleNamesEveryKey(t *testing.T) {
	text := config.Example()
	var check func(reflect.Type)
	check = func(ty reflect.Type) {
		for ty.Kind() == reflect.Pointer || ty.Kind() == reflect.Slice {
			ty = ty.Elem()
		}
		if ty.Kind() != reflect.Struct {
			return
		}
		for i := range ty.NumField() {
			key := ty.Field(i).Tag.Get("yaml")
			if key == "" || ty.Field(i).Tag.Get("doc") == "" {
				t.Errorf("%s.%s has no key or no comment", ty.Name(), ty.Field(i).Name)
			}
			if !regexp.MustCompile(`(?m)^[ #-]*` + key + `:`).MatchString(text) {
				t.Errorf("the example has no %s", key)
			}
			check(ty.Field(i).Type)
		}
	}
	check(reflect.TypeFor[config.File]())
}

func TestClosingAgainDoesNothing(t *testing.T) {
	c, err := config.Load(place(t, strings.Replace(good, "    - user: CONTOSO\\svc-mailbell\n      password_file: listener.password\n",
		"    - authentication: oauth\n      oauth: {tenant: contoso.test, client_id: app, certificate_file: oauth.crt, key_file: other.key}\n", 1)))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAConfigurationThatIsNotThereIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nowhere.yaml")
	if _, err := config.Load(path); err == nil || !strings.Contains(err.Error(), path) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
