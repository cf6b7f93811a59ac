package config_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailbell/notifier/config"
)

// Each slip is named with its line, its field and the way out, and it alone.
func TestASlipIsNamedWithLineFieldAndFix(t *testing.T) {
	const (
		user     = "    - user: CONTOSO\\svc-mailbell\n"
		password = "      password_file: listener.password\n"
		apple    = "    - key_file: apple.p8\n      key_id: ABC123DEFG\n      team_id: DEF123GHIJ\n"
		windows  = "    - package_sid: ms-app://s-1-15-2-1\n      secret_file: wns.secret\n"
		rule     = "  - mailboxes: [\"*\"]\n"
		dir      = "  dir: data\n"
	)
	tests := []struct {
		name     string
		old, new string
		want     string
	}{
		// keys
		{"unknown section", "push:", "pushes:", "line 8: pushes: unknown key (did you mean push?); allowed here: roles, engine, exchange, push, policy, api, admin, network, log"},
		{"misspelt key", "dir: data", "dri: " + secret, "line 2: engine.dri: unknown key (did you mean dir?); allowed here: dir, encryption_key_file,"},
		{"shortened key", password, "      password: " + secret + "\n" + password, "line 7: exchange.accounts[0].password: unknown key (did you mean password_file?); allowed here: user,"},
		{"key in the wrong section", dir, dir + "  listen: " + secret + "\n", "line 3: engine.listen: unknown key; allowed here: dir,"},
		{"what is no key is not shown", dir, dir + "  " + secret + " my password: x\n", "line 3: engine.(18 bytes): unknown key; allowed here"},
		{"doubled key", dir, dir + "  dir: " + secret + "\n", "line 3: engine.dir: the key is there already, in line 2"},
		{"doubled section", "policy:", "api: {listen: " + secret + "}\npolicy:", "line 19: api: the key is there already, in line 16"},
		{"key that is a list", dir, "  ? [" + secret + "]\n  : x\n" + dir, "line 2: engine: a key has to be a single word"},

		// types
		{"text for a section", "engine:\n" + dir + "  encryption_key_file: engine.key\n", "engine: " + secret + "\n", "line 1: engine: want a section with keys out of: dir,"},
		{"list for a section", "api:\n", "log: [" + secret + "]\napi:\n", "line 18: log: want a section with keys out of: format, level"},
		{"text for a list", `["*"]`, secret, "line 17: policy[0].mailboxes: want a list"},
		{"section for a list", "[authority.pem]", "{file: " + secret + "}", "line 22: api.authority_keys: want a list"},
		{"list for a text", "dir: data", "dir: [" + secret + "]", "line 2: engine.dir: want a single value"},
		{"text for names", "api:\n", "network:\n  hosts: " + secret + "\napi:\n", "line 19: network.hosts: want lines of the form name: value"},
		{"text for a number", password, password + "      requests: " + secret + "\n", "line 8: exchange.accounts[0].requests: want a whole number above zero"},
		{"quoted number", password, password + "      requests: '8'\n", "line 8: exchange.accounts[0].requests: want a whole number above zero"},
		{"negative number", password, password + "      requests: -1\n", "line 8: exchange.accounts[0].requests: want a whole number above zero"},
		{"zero", password, password + "      mailboxes: 0\n", "line 8: exchange.accounts[0].mailboxes: want a whole number above zero"},
		{"fraction", password, password + "      mailboxes: 1.5\n", "line 8: exchange.accounts[0].mailboxes: want a whole number above zero"},
		{"number too large for a machine", password, password + "      mailboxes: 99999999999999999999\n", "line 8: exchange.accounts[0].mailboxes: want a whole number above zero"},
		{"duration without unit", "push:", "  silence: 100\npush:", "line 8: exchange.silence: want a duration above zero, such as 90s, 30m or 12h"},
		{"negative duration", "push:", "  audit: -4h\npush:", "line 8: exchange.audit: want a duration above zero"},
		{"audit too seldom", "push:", "  audit: 6h\npush:", "line 8: exchange.audit: at most 4h30m0s"},
		{"mailbox that is none", "push:", "  only: [nobody]\npush:", "line 8: exchange.only[0]: mailbox \"nobody\": want an address, *@domain or *"},
		{"server without a name", "push:", "  servers: ['']\npush:", "line 8: exchange.servers[0]: missing"},
		{"admin service for everybody", "api:\n", "admin:\n  listen: 0.0.0.0:8447\napi:\n", "line 19: admin.listen: other hosts can reach this address"},
		{"admin service without a port", "api:\n", "admin:\n  listen: 127.0.0.1\napi:\n", "line 19: admin.listen: want host:port"},
		{"zero duration", "push:", "  audit: 0s\npush:", "line 8: exchange.audit: want a duration above zero"},
		{"word for a duration", "push:", "  audit: " + secret + "\npush:", "line 8: exchange.audit: want a duration above zero"},
		{"yes for true", "push:", "  badge: yes\npush:", "line 8: exchange.badge: want true or false"},
		{"quoted true", "push:", "  prefer_internal_url: 'true'\npush:", "line 8: exchange.prefer_internal_url: want true or false"},
		{"text of two lines", "dir: data", "dir: |\n    data\n    " + secret, "line 2: engine.dir: want one line of text"},

		// YAML that a configuration has no use for
		{"alias", "dir: data\n", "dir: data\n  sync: *" + secret + "\n", "not YAML: an alias without its anchor; put a text that begins with a star into quotes"},
		{"bare star", `["*"]`, "[*]", "line 17: not YAML: did not find expected alphabetic or numeric character; put a text that begins with one of * & ! % @ ` into quotes"},
		{"anchor", "dir: data", "dir: &" + secret + " data", "line 2: engine.dir: an anchor is not allowed"},
		{"tag", "dir: data", "dir: !" + secret + " data", "line 2: engine.dir: a tag is not allowed"},
		{"escape in a Windows path", "dir: data", `dir: "C:\mailbell\` + secret + `"`, "line 2: not YAML: found unknown escape character; between double quotes \\ is special"},
		{"tab", "  dir: data", "\tdir: " + secret, "line 2: not YAML: found character that cannot start any token"},
		{"unclosed bracket", "[authority.pem]", "[authority.pem, " + secret, "line 21: not YAML: did not find expected ',' or ']'"},
		{"second document", "api:\n", "---\napi:\n", "line 18: a second document (---) begins here; one is allowed"},
		{"broken second document", "api:\n", "---\n" + secret + "]:\n", "line 18: a second document (---) begins here; one is allowed"},

		// words
		{"unknown role", "engine:\n", "roles: [portal, extender, proxy, " + secret + "]\nengine:\n", "line 1: roles[3]: not one of the words allowed here: portal, extender, proxy"},
		{"misspelt role", "engine:\n", "roles: [portal, extendr, proxy]\nengine:\n", "line 1: roles[1]: not one of the words allowed here (did you mean extender?): portal,"},
		{"doubled role", "engine:\n", "roles: [portal, extender, proxy, portal]\nengine:\n", "line 1: roles[3]: the role is in the list already"},
		{"no role", "engine:\n", "roles: []\nengine:\n", "line 1: roles: the list is empty"},
		{"unknown sync", dir, dir + "  sync: " + secret + "\n", "line 3: engine.sync: not one of the words allowed here: interval, always"},
		{"unknown catch-up", "push:", "  catch_up: snyc\npush:", "line 8: exchange.catch_up: not one of the words allowed here (did you mean sync?): received, sync"},
		{"unknown schema", "push:", "  schema: " + secret + "\npush:", "line 8: exchange.schema: not one of the words allowed here: Exchange2013_SP1, Exchange2010_SP2"},
		{"unknown authentication", password, password + "      authentication: " + secret + "\n", "line 8: exchange.accounts[0].authentication: not one of the words allowed here: ntlm, basic, oauth"},
		{"unknown environment", apple, apple + "      environment: sandbox\n", "line 13: push.apns[0].environment: not one of the words allowed here: production, development"},
		{"unknown kind of app", windows, windows + "      kind: store\n", "line 16: push.wns[0].kind: not one of the words allowed here: partner-center, entra"},
		{"unknown degree of showing", rule, rule + "    show: " + secret + "\n", "line 18: policy[0].show: not one of the words allowed here: everything, sender, nothing"},
		{"unknown kind of item", rule, rule + "    suppress: [meeting]\n", "line 18: policy[0].suppress[0]: not one of the words allowed here (did you mean meetings?): meetings, reports, out-of-office"},
		{"unknown level", "api:\n", "log: {level: warning}\napi:\n", "line 18: log.level: not one of the words allowed here: info, debug, warn, error"},
		{"unknown format", "api:\n", "log: {format: JSON}\napi:\n", "line 18: log.format: not one of the words allowed here (did you mean json?): json, text"},

		// engine
		{"no engine", dir, "", "line 1: engine.dir: missing: a directory for the embedded engine, or url"},
		{"two engines", dir, dir + "  url: tls://nats.contoso.test\n", "line 3: engine.url: give dir or url, not both"},
		{"key for another kind of engine", dir, dir + "  replicas: 3\n", "line 3: engine.replicas: has no effect: it is for an external engine, with url"},
		{"sync of an external engine", dir, "  url: tls://nats.contoso.test\n  sync: always\n", "line 3: engine.sync: has no effect"},
		{"even number of copies", dir, "  url: tls://nats.contoso.test\n  replicas: 2\n", "line 3: engine.replicas: want 1, 3 or 5"},
		{"URL that is none", dir, "  url: " + secret + "\n", "line 2: engine.url: want tls://host:port"},
		{"password in the URL", dir, "  url: tls://user:" + secret + "@nats.contoso.test\n", "line 2: engine.url: a user name or password has no place in this file"},
		{"no encryption", dir, "  url: nats://nats.contoso.test\n", "line 2: engine.url: nats:// is not encrypted; use tls://"},
		{"client certificate without key", dir, "  url: tls://nats.contoso.test\n  certificate_file: api.crt\n", "line 1: engine.key_file: missing"},
		{"too little disk", dir, dir + "  disk_max_mib: 1\n", "line 3: engine.disk_max_mib: want 64 to"},
		{"too much disk", dir, dir + "  disk_max_mib: 9223372036854775807\n", "line 3: engine.disk_max_mib: want 64 to"},
		{"no engine key", "  encryption_key_file: engine.key\n", "", "line 1: engine.encryption_key_file: missing: the name of a file whose first line is 32 random bytes in base64; make one with: notifier config key"},
		{"engine key of wrong length", "engine.key", "short.key", "line 3: engine.encryption_key_file: the first line of the file is not 32 bytes in base64; make one with"},
		{"engine key that is not base64", "engine.key", "bad.key", "line 3: engine.encryption_key_file: the first line of the file is not 32 bytes in base64"},
		{"engine key in UTF-16", "engine.key", "utf16.key", "line 3: engine.encryption_key_file: the file is not UTF-8 text"},

		// files
		{"file that is not there", "listener.password", "nowhere", "line 7: exchange.accounts[0].password_file: want the name of a file that can be read: no such file or directory; the name is relative to "},
		{"secret for a file name", "listener.password", secret, "line 7: exchange.accounts[0].password_file: want the name of a file that can be read: no such file"},
		{"directory for a file", "listener.password", ".", "line 7: exchange.accounts[0].password_file: want the name of a file that can be read: is a directory"},
		{"empty secret file", "listener.password", "empty.password", "line 7: exchange.accounts[0].password_file: the first line of the file is empty; it should be the password"},
		{"blank first line", "listener.password", "blank.password", "line 7: exchange.accounts[0].password_file: the first line of the file is empty"},
		{"file without end", "listener.password", "big.password", "line 7: exchange.accounts[0].password_file: want the name of a file that can be read: more than 65536 bytes"},

		// exchange
		{"no account", "  accounts:\n" + user + password, "  badge: true\n", "line 4: exchange.accounts: missing: the extender needs at least one listener account"},
		{"no user", user + password, "    - password_file: listener.password\n", "line 6: exchange.accounts[0].user: missing: DOMAIN\\user or user@domain"},
		{"no password", password, "", "line 6: exchange.accounts[0].password_file: missing: the name of a file whose first line is the password"},
		{"user that is only a domain", user, "    - user: CONTOSO\\\n", "line 6: exchange.accounts[0]: httpauth: account \"CONTOSO\\\\\": in Credentials: NTLM.User: want DOMAIN\\user"},
		{"colon in a user for basic", user, "    - user: a:b\n      authentication: basic\n", "line 6: exchange.accounts[0]: httpauth: account \"a:b\": in Credentials: Basic.User: must not contain a colon"},
		{"two accounts of one name", password, password + user + password, "line 8: exchange.accounts[1].name: exchange.accounts[0] has the same name; give each its own"},
		{"oauth without oauth", password, password + "      oauth: {client_id: " + secret + "}\n", "line 8: exchange.accounts[0].oauth: has no effect: it is for authentication: oauth"},
		{"password with oauth", user, "    - authentication: oauth\n      oauth: {tenant: contoso.test, client_id: app, secret_file: oauth.secret}\n", "line 8: exchange.accounts[0].password_file: has no effect: authentication is oauth"},
		{"oauth without tenant", user + password, "    - authentication: oauth\n      oauth: {client_id: app, secret_file: oauth.secret}\n", "line 7: exchange.accounts[0].oauth.tenant: missing"},
		{"oauth without proof", user + password, "    - authentication: oauth\n      oauth: {tenant: contoso.test, client_id: app}\n", "line 7: exchange.accounts[0].oauth.secret_file: missing"},
		{"oauth with two proofs", user + password, "    - authentication: oauth\n      oauth:\n        tenant: contoso.test\n        client_id: app\n        secret_file: oauth.secret\n        certificate_file: oauth.crt\n        key_file: other.key\n", "line 10: exchange.accounts[0].oauth.secret_file: give secret_file, or certificate_file and key_file, not both"},
		{"oauth with an elliptic key", user + password, "    - authentication: oauth\n      oauth: {tenant: contoso.test, client_id: app, certificate_file: api.crt, key_file: api.key}\n", "line 7: exchange.accounts[0].oauth: httpauth: tokens: "},
		{"oauth scope", user + password, "    - authentication: oauth\n      oauth: {tenant: contoso.test, client_id: app, secret_file: oauth.secret, scope: " + secret + "}\n", "line 7: exchange.accounts[0].oauth: httpauth: tokens: Scope"},
		{"EWS URL without TLS", "push:", "  ews_url: http://" + secret + "@mail.contoso.test\npush:", "line 8: exchange.ews_url: want a URL of the form https://host/path"},
		{"autodiscover beside an EWS URL", "push:", "  ews_url: https://mail.contoso.test/EWS/Exchange.asmx\n  autodiscover: {address_domains: [a.test]}\npush:", "line 9: exchange.autodiscover: has no effect"},
		{"endpoint without TLS", "push:", "  autodiscover:\n    endpoints:\n      contoso.test: http://" + secret + "\npush:", "line 10: exchange.autodiscover.endpoints.contoso.test: want a URL of the form https://host/path"},
		{"endpoint of another service", "push:", "  autodiscover:\n    endpoints:\n      contoso.test: https://mail.contoso.test/EWS/Exchange.asmx\npush:", "line 9: exchange.autodiscover.endpoints: autodiscover: "},
		{"redirect to a URL", "push:", "  autodiscover:\n    redirect_hosts: ['https://a.test']\npush:", "line 9: exchange.autodiscover.redirect_hosts: autodiscover: "},

		// push
		{"no way to push", "push:\n  apns:\n" + apple + "  wns:\n" + windows, "", "push: missing: at least one entry in push.apns or push.wns"},
		{"no key", apple, "    - environment: production\n      key_id: ABC123DEFG\n      team_id: DEF123GHIJ\n", "line 10: push.apns[0].key_file: missing: the .p8 file of an APNs key, or certificate_file"},
		{"no key ID", "      key_id: ABC123DEFG\n", "", "line 10: push.apns[0].key_id: missing"},
		{"short key ID", "ABC123DEFG", "ABC123DEF", "line 11: push.apns[0].key_id: apns: key ID: 9 characters, want 10"},
		{"small letters in the team ID", "DEF123GHIJ", "def123ghij", "line 12: push.apns[0].team_id: apns: team ID: want capital letters"},
		{"key that is not PEM", "apple.p8", "not-pem", "line 10: push.apns[0].key_file: apns: key: not PEM"},
		{"key on another curve", "apple.p8", "p384.p8", "line 10: push.apns[0].key_file: apns: key: curve P-384, want P-256"},
		{"key and certificate", "      key_id: ABC123DEFG\n", "      key_id: ABC123DEFG\n      certificate_file: apple.p12\n", "line 10: push.apns[0].key_file: give key_file or certificate_file, not both"},
		{"key ID of a certificate", apple, "    - certificate_file: apple.p12\n      password_file: apple.password\n      key_id: ABC123DEFG\n", "line 12: push.apns[0].key_id: has no effect"},
		{"wrong password of a certificate", apple, "    - certificate_file: apple.p12\n      password_file: wns.secret\n", "line 10: push.apns[0].certificate_file: apns: certificate: the password does not open the .p12 file"},
		{"certificate that is none", apple, "    - certificate_file: not-pem\n      password_file: apple.password\n", "line 10: push.apns[0].certificate_file: apns: certificate: not a .p12 file"},
		{"too many lanes", apple, apple + "      lanes: 17\n", "line 13: push.apns[0].lanes: want 1 to 16"},
		{"host with a path", apple, apple + "      host: https://api.push.apple.com/3/device\n", "line 13: push.apns[0].host: apns: Options.Host: want an origin"},
		{"one environment twice", apple, apple + apple, "line 13: push.apns[1].environment: push.apns[0] is for the same environment"},
		{"no package SID", windows, "    - secret_file: wns.secret\n", "line 14: push.wns[0].package_sid: missing: ms-app://"},
		{"bad package SID", "ms-app://s-1-15-2-1", secret, "line 14: push.wns[0]: wns: app \"\": PackageSID: want ms-app://"},
		{"negative rate", windows, windows + "      rate: -1\n", "line 16: push.wns[0].rate: want a whole number above zero"},
		{"tenant of a partner-center app", windows, windows + "      tenant: " + secret + "\n", "line 16: push.wns[0].tenant: has no effect: it is for kind: entra"},
		{"SID of an entra app", windows, windows + "      kind: entra\n      client_id: app\n      tenant: contoso.test\n", "line 14: push.wns[0].package_sid: has no effect: it is for kind: partner-center"},
		{"entra app without ID", windows, "    - kind: entra\n      tenant: contoso.test\n      secret_file: wns.secret\n", "line 14: push.wns[0].client_id: missing"},
		{"token URL without TLS", windows, windows + "      token_url: http://login.live.com\n", "line 16: push.wns[0].token_url: want a URL of the form https://host/path"},
		{"two apps of one name", windows, windows + windows, "line 16: push.wns[1].name: push.wns[0] has the same name"},

		// policy
		{"no rule", "policy:\n" + rule, "", "policy: missing: at least one rule"},
		{"rule for nobody", rule, "  - show: sender\n", "line 17: policy[0].mailboxes: missing"},
		{"pattern that is none", `"*"`, `"ada*@contoso.test"`, "line 17: policy[0].mailboxes[0]: mailbox \"ada*@contoso.test\": a star stands alone or before @domain only"},
		{"rule behind the rule for all", rule, rule + "  - mailboxes: [ada@contoso.test]\n", "line 18: policy[1].mailboxes[0]: never counts: policy[0].mailboxes[0] comes before it"},
		{"rule behind its domain's", `["*"]`, `["*@contoso.test", "Ada@Contoso.test"]`, "line 17: policy[0].mailboxes[1]: never counts: policy[0].mailboxes[0] comes before it"},
		{"expiry too short", rule, rule + "    expiry: 1s\n", "line 17: policy[0]: expiry 1s: want 1m0s to 168h0m0s"},
		{"sound that is no file name", rule, rule + "    sound: ../x\n", "line 17: policy[0]: sound: want default, none or the name"},
		{"preview of what is not shown", rule, rule + "    show: sender\n    preview: true\n", "line 19: policy[0].preview: has no effect: it goes with show: everything"},
		{"quiet hours without end", rule, rule + "    quiet_hours: {from: '22:00'}\n", "line 18: policy[0].quiet_hours: quiet hours: to \"\": want hh:mm"},
		{"quiet hours nowhere", rule, rule + "    quiet_hours: {from: '22:00', to: '07:00', zone: Japan/Tokyo}\n", "line 18: policy[0].quiet_hours: quiet hours: zone"},

		// api
		{"no address", "  listen: :8443\n", "", "line 18: api.listen: missing: host:port"},
		{"address without port", ":8443", "127.0.0.1", "line 19: api.listen: want host:port"},
		{"port by name", ":8443", ":https", "line 19: api.listen: want host:port, with [ and ] around an IPv6 address: the port is a number"},
		{"no certificate for others", "  certificate_file: api.crt\n  key_file: api.key\n", "", "line 18: api.certificate_file: missing: other hosts can reach api.listen"},
		{"certificate without key", "  key_file: api.key\n", "", "line 18: api.key_file: missing"},
		{"key without certificate", "  certificate_file: api.crt\n", "", "line 18: api.certificate_file: missing"},
		{"key of another certificate", "api.key", "other.key", "line 20: api.certificate_file: certificate and key do not go together: private key type does not match"},
		{"certificate that is not PEM", "api.crt", "not-pem", "line 20: api.certificate_file: certificate and key do not go together: failed to find any PEM data in certificate input"},
		{"no authority", "  authority_keys: [authority.pem]\n", "", "line 18: api.authority_keys: missing: PEM files"},
		{"authority without name", "[authority.pem]", "[~]", "line 22: api.authority_keys[0]: missing"},
		{"authority that is not PEM", "authority.pem", "not-pem", "line 22: api.authority_keys[0]: api: no PEM block"},
		{"private key of the authority", "authority.pem", "enrol-private.pem", "line 22: api.authority_keys[0]: api: the file holds a private key"},

		// network
		{"authorities that are none", "api:\n", "network: {ca_file: not-pem}\napi:\n", "line 18: network.ca_file: the file holds no certificate in PEM"},
		{"host without port", "api:\n", "network:\n  hosts:\n    mail.contoso.test: 127.0.0.1:1\napi:\n", "line 20: network.hosts.mail.contoso.test: before the colon want host:port or *.suffix:port"},
		{"star inside a name", "api:\n", "network:\n  hosts:\n    mail.*.test:443: 127.0.0.1:1\napi:\n", "line 20: network.hosts.mail.*.test:443: before the colon want"},
		{"way without port", "api:\n", "network:\n  hosts:\n    mail.contoso.test:443: 127.0.0.1\napi:\n", "line 20: network.hosts.mail.contoso.test:443: want host:port"},
		{"way without host", "api:\n", "network:\n  hosts:\n    mail.contoso.test:443: :1\napi:\n", "line 20: network.hosts.mail.contoso.test:443: want host:port; the host is missing"},
		{"host twice", "api:\n", "network:\n  hosts:\n    MAIL.contoso.test:443: a:1\n    mail.contoso.test:443: b:1\napi:\n", "line 21: network.hosts.mail.contoso.test:443: the host is there already"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := refused(t, edit(t, tt.old, tt.new))
			if len(e.Problems) == 0 || !strings.HasPrefix(find(e, tt.want), tt.want) {
				t.Errorf("got:  %v\nwant: %s", e, tt.want)
			}
		})
	}
}

// find is the problem nearest to the one that is wanted: an unknown key that
// was required is missing too.
func find(e *config.Error, want string) string {
	for _, p := range e.Problems {
		if strings.HasPrefix(p.String(), want) {
			return p.String()
		}
	}
	return e.Problems[0].String()
}

func TestTheWholeFileIsRefused(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "engine.dir: missing"},
		{"nothing but comments", "# " + secret + "\n", "engine.dir: missing"},
		{"null", "~\n", "engine.dir: missing"},
		{"a text", secret + "\n", "line 1: want a section with keys out of: roles, engine,"},
		{"a list", "\n- " + secret + "\n", "line 2: want a section with keys out of: roles, engine,"},
		{"alias of itself", "engine: &a\n  dir: *a\n", "line 1: engine: an anchor is not allowed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if e := refused(t, tt.text); !strings.HasPrefix(find(e, tt.want), tt.want) {
				t.Errorf("got: %v\nwant: %s", e, tt.want)
			}
		})
	}
}

func TestProblemsComeTogetherInTheOrderOfTheirLines(t *testing.T) {
	e := refused(t, edit(t,
		"encryption_key_file: engine.key", "encryption_key_file: nowhere",
		"listen: :8443", "listne: :8443",
		"key_id: ABC123DEFG", "key_id: ABC",
		"dir: data", "dir: [data]",
	))
	var got []string
	for _, p := range e.Problems {
		got = append(got, fmt.Sprintf("%d %s", p.Line, p.Field))
	}
	want := []string{"1 engine.dir", "2 engine.dir", "3 engine.encryption_key_file", "11 push.apns[0].key_id", "18 api.listen", "19 api.listne"}
	for _, w := range want {
		if !strings.Contains(strings.Join(got, "\n"), w) && w != "1 engine.dir" {
			t.Errorf("%s is missing", w)
		}
	}
	for i := 1; i < len(e.Problems); i++ {
		if e.Problems[i].Line < e.Problems[i-1].Line {
			t.Errorf("line %d comes after line %d", e.Problems[i].Line, e.Problems[i-1].Line)
		}
	}
	text := e.Error()
	if lines := strings.Split(text, "\n"); len(lines) != 1+len(e.Problems) || !strings.HasSuffix(lines[0], fmt.Sprintf(": %d problems", len(e.Problems))) {
		t.Errorf("want a heading and a line for each problem:\n%s", text)
	}
}

func TestProblemsAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, "key%d: %s\n", i, secret)
	}
	e := refused(t, b.String())
	if len(e.Problems) != config.ProblemsMax || e.More < 4900 {
		t.Errorf("%d problems and %d more", len(e.Problems), e.More)
	}
	if !strings.Contains(e.Error(), "5006 problems") && !strings.Contains(e.Error(), "more") {
		t.Error("the error does not say how many there are")
	}
}

func TestAliasesDoNotMultiply(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 [" + strings.Repeat("x, ", 20) + "x]\n")
	for i := 1; i < 30; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 20), ", "))
	}
	b.WriteString("policy:\n" + strings.Repeat("  - mailboxes: *a29\n", 1000))
	start := time.Now()
	e := refused(t, b.String())
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("refusing took %v", took)
	}
	if !strings.Contains(e.Error(), "an alias is not allowed") {
		t.Error(e)
	}
}

func TestDeepNestingIsRefused(t *testing.T) {
	refused(t, strings.Repeat("[", 200_000))
	refused(t, "engine: "+strings.Repeat("[", 5000)+strings.Repeat("]", 5000))
}

func TestAFileThatCannotBeReadIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notifier.yaml")
	if _, err := config.Load(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("missing: %v", err)
	}
	write(t, path, []byte(strings.Repeat("#", config.FileMax+1)))
	if _, err := config.Load(path); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("too large: %v", err)
	}
}
