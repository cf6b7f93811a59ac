package autodiscover

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestAPlainRedirectIsFollowedOnlyWhereCredentialsMayGo(t *testing.T) {
	for name, c := range map[string]struct {
		location string
		followed bool
	}{
		"below the domain":              {"https://mail.contoso.test/autodiscover/autodiscover.xml", true},
		"the domain, explicit port":     {"https://EX.Contoso.test:443/Autodiscover/Autodiscover.xml", true},
		"Office 365":                    {"https://autodiscover-s.outlook.com/autodiscover/autodiscover.xml", true},
		"a foreign host":                {"https://evil.test/autodiscover/autodiscover.xml", false},
		"a host that only looks like":   {"https://evilcontoso.test/autodiscover/autodiscover.xml", false},
		"the domain as a prefix":        {"https://contoso.test.evil.test/autodiscover/autodiscover.xml", false},
		"plain HTTP":                    {"http://mail.contoso.test/autodiscover/autodiscover.xml", false},
		"another port":                  {"https://mail.contoso.test:8443/autodiscover/autodiscover.xml", false},
		"user info":                     {"https://mail.contoso.test:x@evil.test/autodiscover/autodiscover.xml", false},
		"user info at home":             {"https://u:p@mail.contoso.test/autodiscover/autodiscover.xml", false},
		"another path":                  {"https://mail.contoso.test/owa/", false},
		"a path that climbs":            {"https://mail.contoso.test/autodiscover/../x/autodiscover.xml", false},
		"a path that climbs, encoded":   {"https://mail.contoso.test/autodiscover/%2e%2e/autodiscover.xml", false},
		"an encoded slash":              {"https://mail.contoso.test/autodiscover%2fautodiscover.xml", false},
		"relative, which is plain":      {"/autodiscover/autodiscover.xml", false},
		"scheme-relative":               {"//mail.contoso.test/autodiscover/autodiscover.xml", false},
		"an SOAP path where XML is due": {"https://mail.contoso.test/autodiscover/autodiscover.svc", false},
		"nonsense":                      {"https://%zz/", false},
		"another scheme":                {"file:///autodiscover/autodiscover.xml", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.serveFunc("http://autodiscover.contoso.test", func(rw http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" {
					t.Errorf("%s with %v", r.Method, r.Header)
				}
				redirectHandler(302, c.location)(rw, r)
			})
			for _, host := range []string{
				"mail.contoso.test", "ex.contoso.test", "autodiscover-s.outlook.com", "evil.test",
				"evilcontoso.test", "contoso.test.evil.test", "mail.contoso.test:8443",
			} {
				w.serve("https://"+host, &server{any: settingsOf("m")})
			}
			r := one(t, w.client(t, nil), "ada@contoso.test")
			if c.followed {
				if r.Err != nil {
					t.Errorf("error %v\n%s", r.Err, ladderText(r))
				}
				return
			}
			var refusal *RedirectRefusedError
			if !errors.Is(r.Err, ErrRedirectRefused) || !errors.As(r.Err, &refusal) || refusal.Domain != "contoso.test" {
				t.Errorf("error %v", r.Err)
			}
			if !strings.Contains(ladderText(r), "refused") {
				t.Errorf("the operator sees\n%s", ladderText(r))
			}
			for _, e := range w.log {
				if e.credentials {
					t.Errorf("credentials went to %s", e.url)
				}
			}
		})
	}
}

func TestOnlyRealRedirectsOfThePlainProbeCount(t *testing.T) {
	for _, status := range []int{200, 303, 307, 308, 401} {
		w := newWorld()
		w.serveFunc("http://autodiscover.contoso.test", redirectHandler(status, "https://mail.contoso.test/autodiscover/autodiscover.xml"))
		w.serve("https://mail.contoso.test", &server{any: settingsOf("m")})
		if r := one(t, w.client(t, nil), "ada@contoso.test"); r.Err == nil {
			t.Errorf("status %d was followed", status)
		}
	}
}

func TestTheListOfRedirectHostsIsTheAdministrators(t *testing.T) {
	foreign := "https://mail.partner.test" + svc
	for name, c := range map[string]struct {
		hosts    []string
		location string
		allowed  bool
	}{
		"listed":                           {[]string{"Mail.Partner.test"}, foreign, true},
		"not listed":                       {[]string{"other.test"}, foreign, false},
		"Office 365 after an empty list":   {[]string{}, "https://autodiscover-s.outlook.com" + svc, false},
		"Office 365 by default":            {nil, "https://autodiscover-s.outlook.com" + svc, true},
		"another name of Office 365":       {nil, "https://outlook.office365.com" + svc, false},
		"a name below a listed one is not": {[]string{"partner.test"}, foreign, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.serve("https://contoso.test", redirectHandler(302, c.location))
			w.serve("https://mail.partner.test", &server{any: settingsOf("m")})
			w.serve("https://autodiscover-s.outlook.com", &server{any: settingsOf("m")})
			r := one(t, w.client(t, func(o *Options) { o.RedirectHosts = c.hosts }), "ada@contoso.test")
			if (r.Err == nil) != c.allowed || !c.allowed && !errors.Is(r.Err, ErrRedirectRefused) {
				t.Errorf("error %v", r.Err)
			}
		})
	}
}

func TestARedirectOfTheEndPointIsFollowedWithAPostOfTheSameQuestion(t *testing.T) {
	for _, status := range []int{301, 302, 307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			w := newWorld()
			// Office 365 has answered with its own host, an explicit port and another path.
			w.serveFunc("https://mail.contoso.test", redirectHandler(status, "https://ex01.contoso.test:443/Autodiscover/Autodiscover.svc"))
			w.serve("https://ex01.contoso.test", &server{any: settingsOf("m")})
			r := one(t, w.client(t, fixed), "ada@contoso.test")
			if r.Err != nil || w.asked("POST https://ex01.contoso.test/") != 1 {
				t.Errorf("error %v, log %+v", r.Err, w.log)
			}
		})
	}
}

func TestARelativeRedirectStaysOnTheHost(t *testing.T) {
	w := newWorld()
	s := &server{any: settingsOf("m")}
	s.before = func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == svc {
			redirectHandler(302, "/autodiscover/v2/autodiscover.svc")(rw, r)
		}
	}
	w.serve("https://mail.contoso.test:8443", s)
	c := w.client(t, func(o *Options) {
		o.Endpoints = map[string]string{"contoso.test": "https://mail.contoso.test:8443"}
	})
	if r := one(t, c, "ada@contoso.test"); r.Err != nil {
		t.Errorf("error %v\n%s", r.Err, ladderText(r))
	}
}

func TestTheSamePlaceSpelledOtherwiseIsALoop(t *testing.T) {
	for _, location := range []string{
		"https://MAIL.contoso.test:443/AUTODISCOVER/autodiscover.svc", svc, "https://mail.contoso.test/autodiscover/autodiscover.xml",
	} {
		w := newWorld()
		w.serveFunc("https://mail.contoso.test", redirectHandler(302, location))
		r := one(t, w.client(t, fixed), "ada@contoso.test")
		if !errors.Is(r.Err, ErrRedirectLoop) || len(w.log) != 1 {
			t.Errorf("%s: error %v after %d requests", location, r.Err, len(w.log))
		}
	}
}

func hop(n int) string { return fmt.Sprintf("https://hop%d.contoso.test%s", n, svc) }

func TestAtMostTenRedirectsAreFollowed(t *testing.T) {
	for _, hops := range []int{RedirectsMax, RedirectsMax + 1} {
		w := newWorld()
		w.serveFunc("https://mail.contoso.test", redirectHandler(302, hop(1)))
		for i := 1; i < hops; i++ {
			w.serveFunc(strings.TrimSuffix(hop(i), svc), redirectHandler(302, hop(i+1)))
		}
		w.serve(strings.TrimSuffix(hop(hops), svc), &server{any: settingsOf("m")})
		r := one(t, w.client(t, fixed), "ada@contoso.test")
		if hops <= RedirectsMax && r.Err != nil || hops > RedirectsMax && !errors.Is(r.Err, ErrRedirectLimit) {
			t.Errorf("%d redirects: error %v", hops, r.Err)
		}
		if len(w.log) > RedirectsMax+1 {
			t.Errorf("%d requests", len(w.log))
		}
	}
}

func TestOneCandidatesCircleLeavesTheNextItsRedirects(t *testing.T) {
	w := newWorld()
	endless := 0
	s := &server{before: func(rw http.ResponseWriter, r *http.Request) {
		endless++
		redirectHandler(302, fmt.Sprintf("/autodiscover/%d/autodiscover.xml", endless))(rw, r)
	}}
	w.serve("https://contoso.test", s)
	w.serveFunc("https://autodiscover.contoso.test", redirectHandler(302, "https://mail.contoso.test/autodiscover/autodiscover.xml"))
	w.serve("https://mail.contoso.test", &server{any: settingsOf("m")})
	r := one(t, w.client(t, nil), "ada@contoso.test")
	if r.Err != nil || endless != RedirectsMax+1 {
		t.Errorf("error %v after %d circles\n%s", r.Err, endless, ladderText(r))
	}
}

func TestRedirectsAndSettingsMixInOneBatch(t *testing.T) {
	w := newWorld()
	home := &server{users: map[string]string{
		"ada@contoso.test":   settingsOf("home"),
		"cleo@contoso.test":  redirectTo("RedirectAddress", "cleo@contoso.mail.onmicrosoft.com"),
		"drew@contoso.test":  redirectTo("RedirectUrl", "https://branch.contoso.test/autodiscover/autodiscover.svc"),
		"evil@contoso.test":  redirectTo("RedirectUrl", "https://evil.test/autodiscover/autodiscover.svc"),
		"plain@contoso.test": redirectTo("RedirectUrl", "http://branch.contoso.test/autodiscover/autodiscover.svc"),
		"away@contoso.test":  redirectTo("RedirectAddress", "away@evil.test"),
		"self@contoso.test":  redirectTo("RedirectAddress", "SELF@contoso.test"),
		"void@contoso.test":  redirectTo("RedirectAddress", ""),
		"loop@contoso.test":  redirectTo("RedirectAddress", "pool@contoso.test"),
		"pool@contoso.test":  redirectTo("RedirectAddress", "loop@contoso.test"),
		"ping@contoso.test":  redirectTo("RedirectUrl", "https://branch.contoso.test/autodiscover/autodiscover.svc"),
		"zoe@contoso.test":   settingsOf("home"),
	}}
	w.serve("https://mail.contoso.test", home)
	w.serve("https://branch.contoso.test", &server{users: map[string]string{
		"drew@contoso.test": settingsOf("branch"),
		"ping@contoso.test": redirectTo("RedirectUrl", "https://branch.contoso.test:443/Autodiscover/autodiscover.svc"),
	}})
	w.serveFunc("http://autodiscover.contoso.mail.onmicrosoft.com", redirectHandler(302, "https://autodiscover-s.outlook.com/autodiscover/autodiscover.xml"))
	w.serve("https://autodiscover-s.outlook.com", &server{any: settingsOf("cloud")})
	w.serve("https://evil.test", &server{any: settingsOf("evil")})
	c := w.client(t, func(o *Options) {
		fixed(o)
		o.AddressDomains = []string{"contoso.mail.onmicrosoft.com"}
	})
	addresses := []string{
		"ada@contoso.test", "cleo@contoso.test", "drew@contoso.test", "evil@contoso.test", "plain@contoso.test",
		"away@contoso.test", "self@contoso.test", "void@contoso.test", "loop@contoso.test", "ping@contoso.test", "nobody@contoso.test", "zoe@contoso.test",
	}
	results := c.Discover(t.Context(), addresses)
	for i, want := range []struct {
		group string
		err   error
	}{
		{group: "home"},
		{group: "cloud"},
		{group: "branch"},
		{err: ErrRedirectRefused},
		{err: ErrRedirectRefused},
		{err: ErrRedirectRefused},
		{err: ErrRedirectLoop},
		{err: ErrRedirectRefused},
		{err: ErrRedirectLoop},
		{err: ErrRedirectLoop},
		{err: ErrNoSuchMailbox},
		{group: "home"},
	} {
		r := results[i]
		if r.Address != addresses[i] || r.Settings.Grouping != want.group || !errors.Is(r.Err, want.err) {
			t.Errorf("%s: %+v, error %v; want %+v\n%s", addresses[i], r.Settings, r.Err, want, ladderText(r))
		}
	}
	if got := results[1].Settings.Address; got != "cleo@contoso.mail.onmicrosoft.com" {
		t.Errorf("cleo is now %q", got)
	}
	if !strings.Contains(ladderText(results[1]), "redirect to address") {
		t.Errorf("cleo's ladder\n%s", ladderText(results[1]))
	}
	w.check(t, "mail.contoso.test", "branch.contoso.test", "autodiscover-s.outlook.com")
}

func TestAddressesThatLeadEverOnAreStopped(t *testing.T) {
	w := newWorld()
	users := map[string]string{}
	for i := range 30 {
		users[fmt.Sprintf("a%d@contoso.test", i)] = redirectTo("RedirectAddress", fmt.Sprintf("a%d@contoso.test", i+1))
	}
	w.serve("https://mail.contoso.test", &server{users: users})
	r := one(t, w.client(t, fixed), "a0@contoso.test")
	if !errors.Is(r.Err, ErrRedirectLimit) || len(w.log) != RedirectsMax+1 {
		t.Errorf("error %v after %d requests", r.Err, len(w.log))
	}
}

func TestRedirectsOfHTTPAndOfAutodiscoverAreCountedTogether(t *testing.T) {
	w := newWorld()
	w.serveFunc("https://mail.contoso.test", redirectHandler(302, hop(1)))
	for i := 1; i < 4; i++ {
		w.serveFunc(strings.TrimSuffix(hop(i), svc), redirectHandler(302, hop(i+1)))
	}
	users := map[string]string{}
	for i := range 30 {
		users[fmt.Sprintf("a%d@contoso.test", i)] = redirectTo("RedirectAddress", fmt.Sprintf("a%d@contoso.test", i+1))
	}
	w.serve(strings.TrimSuffix(hop(4), svc), &server{users: users})
	r := one(t, w.client(t, fixed), "a0@contoso.test")
	// Each address costs four redirects of HTTP and one of Autodiscover; the third is one too many.
	if !errors.Is(r.Err, ErrRedirectLimit) || len(w.log) != 15 {
		t.Errorf("error %v after %d requests\n%s", r.Err, len(w.log), ladderText(r))
	}
}

func TestTheSRVRecordWithTheLowestPriorityNumberIsContacted(t *testing.T) {
	w := newWorld()
	w.records = []*net.SRV{
		{Target: "last.contoso.test.", Port: 443, Priority: 30},
		{Target: "other-port.contoso.test.", Port: 8443, Priority: 1},
		{Target: "evil.test.", Port: 443, Priority: 2},
		{Target: ".", Port: 443, Priority: 3},
		{Target: "First.contoso.test.", Port: 443, Priority: 5, Weight: 1},
		{Target: "second.contoso.test.", Port: 443, Priority: 10, Weight: 100},
	}
	for _, host := range []string{"first.contoso.test", "second.contoso.test", "last.contoso.test", "evil.test", "other-port.contoso.test:8443"} {
		w.serve("https://"+host, &server{any: settingsOf(host)})
	}
	r := one(t, w.client(t, nil), "ada@contoso.test")
	if r.Settings.Grouping != "first.contoso.test" {
		t.Errorf("%+v\n%s", r, ladderText(r))
	}
	w.check(t, "first.contoso.test")

	delete(w.hosts, "https://first.contoso.test")
	if r = one(t, w.client(t, nil), "ada@contoso.test"); r.Settings.Grouping != "second.contoso.test" {
		t.Errorf("with the first one down: %+v\n%s", r, ladderText(r))
	}
}

func TestPOXIsSpokenWhereSOAPIsRefusedEverywhere(t *testing.T) {
	settings := func(user string) string {
		return `<Autodiscover><Response><User><AutoDiscoverSMTPAddress>` + user + `</AutoDiscoverSMTPAddress></User><Account><Action>settings</Action>` +
			`<Protocol><Type>EXPR</Type><EwsUrl>https://mail.contoso.test/EWS/Exchange.asmx?` + user + `</EwsUrl></Protocol></Account></Response></Autodiscover>`
	}
	users := map[string]string{
		"moved@contoso.test": `<Autodiscover><Response><Account><Action>redirectAddr</Action><RedirectAddr>ada@contoso.test</RedirectAddr></Account></Response></Autodiscover>`,
		"url@contoso.test":   `<Autodiscover><Response><Account><Action>redirectUrl</Action><RedirectUrl>https://other.contoso.test/autodiscover/autodiscover.xml</RedirectUrl></Account></Response></Autodiscover>`,
		"bad@contoso.test":   `<Autodiscover><Response><Error Time="1" Id="2"><ErrorCode>600</ErrorCode><Message>Invalid Request</Message></Error></Response></Autodiscover>`,
	}
	for _, u := range []string{"ada@contoso.test", "brook@contoso.test", "url@contoso.test"} {
		if users[u] == "" {
			users[u] = settings(u)
		}
	}
	w := newWorld()
	w.serve("https://autodiscover.contoso.test", &server{noSOAP: true, users: users})
	w.serve("https://other.contoso.test", &server{noSOAP: true, users: map[string]string{"url@contoso.test": settings("url@contoso.test")}})
	c := w.client(t, nil)
	addresses := []string{"ada@contoso.test", "brook@contoso.test", "moved@contoso.test", "url@contoso.test", "bad@contoso.test"}
	results := c.Discover(t.Context(), addresses)
	for i, want := range []string{"ada@contoso.test", "brook@contoso.test", "ada@contoso.test", "url@contoso.test"} {
		if r := results[i]; r.Err != nil || r.Settings.EWSURL != "https://mail.contoso.test/EWS/Exchange.asmx?"+want || r.Settings.Address != want {
			t.Errorf("%s: %+v\n%s", addresses[i], r, ladderText(r))
		}
	}
	var failed *ServerError
	if !errors.As(results[4].Err, &failed) || failed.Code != "Error600" {
		t.Errorf("bad: %v", results[4].Err)
	}
	for _, e := range w.log {
		if e.users > 1 {
			t.Errorf("%d users in one request", e.users)
		}
	}
	w.check(t, "autodiscover.contoso.test", "other.contoso.test")

	w.log = nil
	one(t, c, "ada@contoso.test")
	if len(w.log) != 1 {
		t.Errorf("the second time %d requests", len(w.log))
	}
}

func TestAFixedEndpointWithoutSOAPIsAskedInPOX(t *testing.T) {
	w := newWorld()
	w.serve("https://mail.contoso.test", &server{noSOAP: true, users: map[string]string{"ada@contoso.test": `<Autodiscover><Response><Account><Action>settings</Action><Protocol><Type>EXCH</Type><ASUrl>https://ex/EWS/Exchange.asmx</ASUrl></Protocol></Account></Response></Autodiscover>`}})
	if r := one(t, w.client(t, fixed), "ada@contoso.test"); r.Err != nil || r.Settings.InternalEWSURL != "https://ex/EWS/Exchange.asmx" {
		t.Errorf("%+v\n%s", r, ladderText(r))
	}
}

func TestTheLadderTellsTheOperatorEachStep(t *testing.T) {
	w := newWorld()
	w.serveFunc("https://contoso.test", http.NotFound)
	w.serveFunc("http://autodiscover.contoso.test", redirectHandler(302, "https://hosted.partner.test/autodiscover/autodiscover.xml"))
	r := one(t, w.client(t, nil), "ada@contoso.test")
	var candidates []string
	for _, s := range r.Ladder {
		if s.Outcome == "" {
			t.Errorf("%s: no outcome", s.Candidate)
		}
		candidates = append(candidates, s.Candidate)
	}
	want := []string{
		"https://contoso.test" + svc, "https://autodiscover.contoso.test" + svc,
		"http://autodiscover.contoso.test/autodiscover/autodiscover.xml", "_autodiscover._tcp.contoso.test",
	}
	if !slices.Equal(candidates, want) || !strings.Contains(ladderText(r), "contoso.test redirects to hosted.partner.test") {
		t.Errorf("ladder\n%s", ladderText(r))
	}
	if r.Ladder[0].Status != 404 || r.Ladder[2].Status != 302 {
		t.Errorf("ladder\n%s", ladderText(r))
	}
}

func TestAURLThatAServerNamedIsAskedByTheSameRules(t *testing.T) {
	branch := redirectTo("RedirectUrl", "https://branch.contoso.test"+svc)
	for name, c := range map[string]struct {
		handler http.Handler
		err     error
		group   string
	}{
		"answers":                    {handler: &server{any: settingsOf("branch")}, group: "branch"},
		"redirects within":           {handler: redirectHandler(302, "https://third.contoso.test"+svc), group: "third"},
		"redirects to a foreigner":   {handler: redirectHandler(302, "https://evil.test"+svc), err: ErrRedirectRefused},
		"redirects to itself":        {handler: redirectHandler(302, svc), err: ErrRedirectLoop},
		"redirects without a target": {handler: redirectHandler(302, ""), err: &ServerError{}},
		"is down":                    {err: &net.DNSError{}},
		"is no Autodiscover":         {handler: http.NotFoundHandler(), err: &ServerError{}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.serve("https://mail.contoso.test", &server{any: settingsOf("home"), users: map[string]string{"drew@contoso.test": branch, "eve@contoso.test": branch}})
			w.serve("https://third.contoso.test", &server{any: settingsOf("third")})
			if c.handler != nil {
				w.serve("https://branch.contoso.test", c.handler)
			}
			results := w.client(t, fixed).Discover(t.Context(), []string{"drew@contoso.test", "ada@contoso.test", "eve@contoso.test"})
			if results[1].Settings.Grouping != "home" {
				t.Errorf("the neighbour: %+v", results[1])
			}
			for _, r := range []Result{results[0], results[2]} {
				ok := r.Settings.Grouping == c.group
				switch want := c.err.(type) {
				case *net.DNSError:
					ok = ok && errors.As(r.Err, &want)
				case *ServerError:
					ok = ok && errors.As(r.Err, &want)
				default:
					ok = ok && errors.Is(r.Err, c.err)
				}
				if !ok {
					t.Errorf("%+v\n%s", r, ladderText(r))
				}
			}
			w.check(t, "mail.contoso.test", "branch.contoso.test", "third.contoso.test")
		})
	}
}
