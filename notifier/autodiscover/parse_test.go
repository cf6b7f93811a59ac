package autodiscover

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite golden files")

// read returns a file of testdata without the comment that tells its source.
func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, rest, ok := strings.Cut(string(data), "-->\n"); ok {
		return []byte(rest)
	}
	return data
}

func golden(t *testing.T, name, source string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, append([]byte("<!-- "+source+" -->\n"), got...), 0o644); err != nil { //nolint:gosec // test data
			t.Fatal(err)
		}
	}
	if want := read(t, name); string(want) != string(got) {
		t.Errorf("%s differs; got\n%s", name, got)
	}
}

func TestRequestsAreAsPublished(t *testing.T) {
	golden(t, "getusersettings_request.golden.xml",
		"Microsoft, Autodiscover web service reference: GetUserSettings operation (SOAP). Namespaces as in EWS Managed API, EwsUtilities.",
		soapRequest("https://mail.contoso.com/autodiscover/autodiscover.svc",
			[]string{"ada@contoso.com", "brook@contoso.com", "nobody@contoso.com", "o'neil&<co>@contoso.com"}, settingNames()))
	golden(t, "pox_request.golden.xml",
		"Microsoft, Autodiscover web service reference: POX Autodiscover request for Exchange.", poxRequest("ada@contoso.com"))
}

func TestTheFourOutcomesOfABatch(t *testing.T) {
	r, err := parseSOAP(read(t, "getusersettings_response.xml"), 4)
	if err != nil {
		t.Fatal(err)
	}
	if r.code != "NoError" || len(r.users) != 4 {
		t.Fatalf("%+v", r)
	}
	want := Settings{
		Address: "ada@contoso.com", EWSURL: "https://mail.contoso.com/EWS/Exchange.asmx",
		InternalEWSURL: "https://ex01.corp.contoso.com/EWS/Exchange.asmx", Grouping: "CONTOSO-SITE-A",
		Schemas: []string{
			"Exchange2007", "Exchange2007_SP1", "Exchange2010", "Exchange2010_SP1", "Exchange2010_SP2", "Exchange2013",
			"Exchange2013_SP1", "Exchange2016",
		},
		CASVersion: "15.01.2507.039", DisplayName: "Ada Marsh",
		MailboxDN: "/o=Contoso/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)/cn=Configuration/cn=Servers/cn=ex01/cn=Microsoft Private MDB",
	}
	if got := newSettings("ada@contoso.com", r.users[0].values); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	second := newSettings("brook@contoso.com", r.users[1].values)
	if second.EWSURL != "" || second.InternalEWSURL != "https://ex02.corp.contoso.com/EWS/Exchange.asmx" || second.Grouping != "CONTOSO-SITE-B" ||
		r.users[1].errors["ExternalEwsUrl"] != "SettingIsNotAvailable" {
		t.Errorf("%+v", r.users[1])
	}
	if u := r.users[2]; u.code != "InvalidUser" || u.target != "" {
		t.Errorf("%+v", u)
	}
	if u := r.users[3]; u.code != "RedirectAddress" || u.target != "cloud.cleo@contoso.mail.onmicrosoft.com" {
		t.Errorf("%+v", u)
	}
}

func TestTheFormOfAnAnswerDoesNotMatter(t *testing.T) {
	plain := string(read(t, "getusersettings_response.xml"))
	want, err := parseSOAP([]byte(plain), 4)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"with a declaration":     `<?xml version="1.0" encoding="utf-8"?>` + plain,
		"with a byte order mark": "\xef\xbb\xbf" + plain,
		"another prefix": strings.NewReplacer("<s:", "<soap11:", "</s:", "</soap11:", "xmlns:s=", "xmlns:soap11=", "s:mustUnderstand", "soap11:mustUnderstand",
			"xmlns:i=", "xmlns:xsi=", "i:type", "xsi:type", "i:nil", "xsi:nil").Replace(plain),
		"empty elements in full": strings.ReplaceAll(plain, "<UserSettings/>", "<UserSettings></UserSettings>"),
		"with a comment":         strings.Replace(plain, "<s:Body>", "<!-- a < b --><s:Body>", 1),
		"a setting nobody asked for": strings.ReplaceAll(plain, "<UserSettings>", `<UserSettings>`+
			`<UserSetting i:type="WebClientUrlCollectionSetting"><Name>ExternalEwsUrl</Name><Value>x</Value><WebClientUrls><WebClientUrl/></WebClientUrls></UserSetting>`),
	} {
		got, err := parseSOAP([]byte(text), 4)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", name, err, got, want)
		}
	}
}

func TestDocumentsThatAreNotAnAnswerAreRefused(t *testing.T) {
	envelope := soapReply("NoError", "")
	for name, text := range map[string]string{
		"nothing":           "",
		"HTML":              "<html><body>It works</body></html>",
		"open HTML":         "<!DOCTYPE html><html><br></html>",
		"truncated":         envelope[:len(envelope)-20],
		"a definition":      `<!DOCTYPE a [<!ENTITY b "cccc">]>` + envelope,
		"an entity":         strings.Replace(envelope, "text", "&b;", 1),
		"SOAP 1.2":          strings.ReplaceAll(envelope, soapNamespace, "http://www.w3.org/2003/05/soap-envelope"),
		"another encoding":  `<?xml version="1.0" encoding="utf-16"?>` + envelope,
		"no response in it": `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body/></s:Envelope>`,
		"too deep":          strings.Repeat("<a>", depthMax+1) + strings.Repeat("</a>", depthMax+1),
		"too many elements": "<a>" + strings.Repeat("<b/>", nodesMax) + "</a>",
		"two roots":         envelope + "<a/>",
	} {
		if r, err := parseSOAP([]byte(text), 1); !errors.Is(err, errXML) {
			t.Errorf("%s: read as %+v, error %v", name, r, err)
		}
	}
}

func TestAFaultIsAnErrorOfItsOwn(t *testing.T) {
	// EWS Managed API issue 140: the answer to an unknown RequestedServerVersion.
	_, err := parseSOAP([]byte(`<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>`+
		`<faultcode xmlns:a="http://schemas.microsoft.com/exchange/2010/Autodiscover">a:InvalidRequest</faultcode>`+
		`<faultstring xml:lang="en-US">The RequestedServerVersion header is missing or invalid.</faultstring></s:Fault></s:Body></s:Envelope>`), 1)
	var fault *faultError
	if !errors.As(err, &fault) || fault.code != "InvalidRequest" || fault.byServer() {
		t.Errorf("error %v", err)
	}
}

func TestThePlainXMLAnswer(t *testing.T) {
	r, err := parsePOX(read(t, "pox_response.xml"))
	if err != nil || len(r.users) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	want := Settings{
		Address: "ada@contoso.com", EWSURL: "https://mail.contoso.com/EWS/Exchange.asmx",
		InternalEWSURL: "https://ex01.corp.contoso.com/EWS/Exchange.asmx", Grouping: "CONTOSO-SITE-A", DisplayName: "Ada Marsh",
	}
	if got := newSettings("asked@contoso.com", r.users[0].values); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	nested := strings.Replace(string(read(t, "pox_response.xml")), "<Protocol>",
		`<Protocol><Type>WEB</Type><Internal><Protocol><Type>EXPR</Type><EwsUrl>https://wrong/</EwsUrl></Protocol></Internal></Protocol><Protocol>`, 1)
	r, err = parsePOX([]byte(nested))
	if err != nil || newSettings("ada@contoso.com", r.users[0].values).EWSURL != want.EWSURL {
		t.Errorf("%+v, %v: a protocol inside WEB was taken", r, err)
	}
	for _, bad := range []string{"<html/>", "<Autodiscover/>", "<Autodiscover><Response><Account><Action>sing</Action></Account></Response></Autodiscover>"} {
		if _, err := parsePOX([]byte(bad)); !errors.Is(err, errXML) {
			t.Errorf("%s: error %v", bad, err)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add(read(f, "getusersettings_response.xml"), 4)
	f.Add(read(f, "pox_response.xml"), 1)
	f.Add([]byte(soapReply("ServerBusy", "")), 1)
	f.Add([]byte(`<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Server</faultcode></s:Fault></s:Body></s:Envelope>`), 2)
	f.Add([]byte(soapReply("NoError", "<UserResponse>"+redirectTo("RedirectUrl", "https://x/")+"</UserResponse>")), 1)
	f.Fuzz(func(t *testing.T, data []byte, asked int) {
		if r, err := parseSOAP(data, asked); err == nil && len(r.users) > max(asked, 0) {
			t.Fatalf("%d answers to %d", len(r.users), asked)
		}
		r, err := parsePOX(data)
		if err == nil && len(r.users) != 1 {
			t.Fatalf("%d answers", len(r.users))
		}
		for _, u := range r.users {
			if s := newSettings("a@b.test", u.values); s.EWSURL != "" && !strings.HasPrefix(strings.ToLower(s.EWSURL), "https://") {
				t.Fatalf("URL %q", s.EWSURL)
			}
		}
	})
}

func FuzzPermit(f *testing.F) {
	f.Add("https://mail.contoso.test/autodiscover/autodiscover.xml")
	f.Add("//evil.test/autodiscover/autodiscover.svc")
	f.Add("https://a@contoso.test:443/Autodiscover/x/Autodiscover.xml?q#f")
	r := &rules{fixed: map[string]string{}, hosts: map[string]bool{"listed.test": true}, domains: map[string]bool{}}
	f.Fuzz(func(t *testing.T, location string) {
		to, err := r.permit("contoso.test", "http://autodiscover.contoso.test"+poxPath, location)
		if err != nil {
			return
		}
		host := hostOf(to)
		if !strings.HasPrefix(to, "https://") || host != "contoso.test" && !strings.HasSuffix(host, ".contoso.test") && host != "listed.test" {
			t.Fatalf("%q leads to %q", location, to)
		}
		if again, err := r.permit("contoso.test", to, to); err != nil || again != to {
			t.Fatalf("%q is not in normal form: %q, %v", to, again, err)
		}
	})
}
