package autodiscover

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const svc = "/autodiscover/autodiscover.svc"

func fixed(o *Options) {
	o.Endpoints = map[string]string{"contoso.test": "https://mail.contoso.test" + svc}
}

func TestManyMailboxesAreAskedAboutInBatchesAtTheirPositions(t *testing.T) {
	w := newWorld()
	s := &server{any: settingsOf("mail.contoso.test")}
	w.serve("https://mail.contoso.test", s)
	c := w.client(t, fixed)
	addresses := population(1234, "contoso.test")
	wantAll(t, c.Discover(t.Context(), addresses), addresses, "mail.contoso.test")
	if len(s.sizes) != 25 {
		t.Errorf("%d requests, want 25 of at most 50", len(s.sizes))
	}
	if w.flyMax > ParallelDefault {
		t.Errorf("%d requests at a time", w.flyMax)
	}
	w.check(t, "mail.contoso.test")
	if w.log[0].anchor != addresses[0] {
		t.Errorf("anchor %q", w.log[0].anchor)
	}
}

func TestDomainsAreNotMixedInABatch(t *testing.T) {
	w := newWorld()
	w.serve("https://contoso.test", &server{any: settingsOf("contoso.test")})
	w.serve("https://fabrikam.test", &server{any: settingsOf("fabrikam.test")})
	c := w.client(t, nil)
	results := c.Discover(t.Context(), []string{"a@contoso.test", "b@FABRIKAM.test", "bad address", "c@contoso.test"})
	for i, want := range []string{"contoso.test", "fabrikam.test", "", "contoso.test"} {
		if results[i].Settings.Grouping != want || (want == "") != errors.Is(results[i].Err, ErrAddress) {
			t.Errorf("result %d: %+v", i, results[i])
		}
	}
	w.check(t, "contoso.test", "fabrikam.test")
}

func TestTheBatchIsHalvedUntilTheServerTakesItAndTheSizeRemembered(t *testing.T) {
	w := newWorld()
	s := &server{any: settingsOf("mail.contoso.test"), max: 3}
	w.serve("https://mail.contoso.test", s)
	c := w.client(t, fixed)
	addresses := population(100, "contoso.test")
	wantAll(t, c.Discover(t.Context(), addresses), addresses, "mail.contoso.test")
	before, answered := len(w.log), len(s.sizes)
	addresses = population(9, "contoso.test")
	wantAll(t, c.Discover(t.Context(), addresses), addresses, "mail.contoso.test")
	if got := s.sizes[answered:]; len(w.log)-before != 3 || !slices.Equal(got, []int{3, 3, 3}) {
		t.Errorf("afterwards %d requests, answered %v; want three of three", len(w.log)-before, got)
	}
}

func TestOneAddressThatTheServerCannotStandDoesNotSpoilItsNeighbours(t *testing.T) {
	w := newWorld()
	s := &server{any: settingsOf("mail.contoso.test"), poison: "user0013@contoso.test"}
	w.serve("https://mail.contoso.test", s)
	c := w.client(t, fixed)
	addresses := population(50, "contoso.test")
	results := c.Discover(t.Context(), addresses)
	var refused *ServerError
	if !errors.As(results[13].Err, &refused) || refused.Code != "InvalidRequest" {
		t.Errorf("the poisonous address: %v", results[13].Err)
	}
	wantAll(t, slices.Delete(results, 13, 14), slices.Delete(addresses, 13, 14), "mail.contoso.test")
	s.sizes = nil
	addresses = population(64, "contoso.test")[14:]
	wantAll(t, c.Discover(t.Context(), addresses), addresses, "mail.contoso.test")
	if !slices.Equal(s.sizes, []int{50}) {
		t.Errorf("afterwards batches of %v: the size was lowered for a bad address", s.sizes)
	}
}

func TestAServerThatRefusesEveryQuestionIsNotAskedAboutEveryUser(t *testing.T) {
	w := newWorld()
	w.serve("https://mail.contoso.test", &server{max: -1, before: func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(rw, soapReply("InvalidRequest", ""))
	}})
	c := w.client(t, fixed)
	for _, r := range c.Discover(t.Context(), population(50, "contoso.test")) {
		var refused *ServerError
		if !errors.Is(r.Err, ErrNoEndpoint) || !errors.As(r.Err, &refused) {
			t.Fatalf("error %v", r.Err)
		}
	}
	if len(w.log) > 12 {
		t.Errorf("%d requests for one answer", len(w.log))
	}
}

func TestAMissingTailIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := &server{any: settingsOf("mail.contoso.test"), stops: 7}
		w.serve("https://mail.contoso.test", s)
		c := w.client(t, fixed)
		addresses := population(60, "contoso.test")
		wantAll(t, c.Discover(t.Context(), addresses), addresses, "mail.contoso.test")
	})
}

func TestTheOrderOfCandidates(t *testing.T) {
	w := newWorld()
	w.records = []*net.SRV{{Target: "srv.contoso.test.", Port: 443, Priority: 1}}
	c := w.client(t, nil)
	r := one(t, c, "ada@contoso.test")
	if !errors.Is(r.Err, ErrNoEndpoint) || !strings.Contains(r.Err.Error(), "contoso.test") {
		t.Errorf("error %v", r.Err)
	}
	var urls []string
	for _, e := range w.log {
		urls = append(urls, e.method+" "+e.url)
	}
	want := []string{
		"GET https://contoso.test/autodiscover/autodiscover.xml",
		"GET https://autodiscover.contoso.test/autodiscover/autodiscover.xml",
		"GET http://autodiscover.contoso.test/autodiscover/autodiscover.xml",
		"GET https://srv.contoso.test/autodiscover/autodiscover.xml",
	}
	if !slices.Equal(urls, want) {
		t.Errorf("asked\n%s\nwant\n%s", strings.Join(urls, "\n"), strings.Join(want, "\n"))
	}
	if len(r.Ladder) != 5 {
		t.Errorf("ladder\n%s", ladderText(r))
	}
	for _, e := range w.log {
		if e.credentials {
			t.Errorf("credentials went to %s, which is not known to be Exchange", e.url)
		}
	}
}

func TestCandidatesNeverClimbOutOfTheDomain(t *testing.T) {
	w := newWorld()
	c := w.client(t, nil)
	one(t, c, "ada@mail.sub.contoso.co.test")
	for _, e := range w.log {
		if !strings.Contains(e.url, "//mail.sub.contoso.co.test/") && !strings.Contains(e.url, "//autodiscover.mail.sub.contoso.co.test/") {
			t.Errorf("asked %s", e.url)
		}
	}
}

func TestAWebSiteIsToldFromAnExchangeServerWithoutCredentials(t *testing.T) {
	for name, site := range map[string]http.HandlerFunc{
		"200 with HTML": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"404":           http.NotFound,
		"403":           func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) },
		"401 of its own": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="give it to me"`)
			w.WriteHeader(401)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.serve("https://contoso.test", site)
			w.serve("https://autodiscover.contoso.test", &server{any: settingsOf("m")})
			r := one(t, w.client(t, nil), "ada@contoso.test")
			if r.Err != nil {
				t.Errorf("error %v\n%s", r.Err, ladderText(r))
			}
			w.check(t, "autodiscover.contoso.test")
		})
	}
}

func TestTheEndpointThatAnsweredIsAskedFirstUntilItFails(t *testing.T) {
	w := newWorld()
	old, replacement := &server{any: settingsOf("old")}, &server{any: settingsOf("new")}
	w.serve("https://autodiscover.contoso.test", old)
	c := w.client(t, nil)
	one(t, c, "ada@contoso.test")
	w.log = nil
	one(t, c, "brook@contoso.test")
	if len(w.log) != 1 || w.log[0].method != http.MethodPost {
		t.Errorf("the second time %d requests, first %+v", len(w.log), w.log[0])
	}
	delete(w.hosts, "https://autodiscover.contoso.test")
	w.serve("https://contoso.test", replacement)
	if r := one(t, c, "ada@contoso.test"); r.Settings.Grouping != "new" {
		t.Errorf("after the old one fell silent: %+v\n%s", r, ladderText(r))
	}
}

func TestConcurrentCallersSearchOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := &server{any: settingsOf("m")}
		w.serveFunc("https://autodiscover.contoso.test", func(rw http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			s.ServeHTTP(rw, r)
		})
		c := w.client(t, nil)
		var wg sync.WaitGroup
		for _, a := range population(20, "contoso.test") {
			wg.Go(func() {
				if r := one(t, c, a); r.Err != nil {
					t.Error(r.Err)
				}
			})
		}
		wg.Wait()
		if n := w.asked("GET https://autodiscover.contoso.test"); n != 1 {
			t.Errorf("%d probes, want one", n)
		}
	})
}

func TestAServerThatDoesNotKnowASettingIsNotAskedForItAgain(t *testing.T) {
	w := newWorld()
	s := &server{any: settingsOf("mail.contoso.test"), unknown: []string{"GroupingInformation"}}
	w.serve("https://mail.contoso.test", s)
	c := w.client(t, fixed)
	one(t, c, "ada@contoso.test")
	one(t, c, "ada@contoso.test")
	if !slices.Contains(s.asked[0], "GroupingInformation") || slices.Contains(s.asked[1], "GroupingInformation") {
		t.Errorf("asked for %v, then %v", s.asked[0], s.asked[1])
	}
}

func TestAnInvalidSettingOfAUserIsDroppedAndAskedAgain(t *testing.T) {
	w := newWorld()
	s := &server{any: settingsOf("m")}
	refused := false
	s.before = func(rw http.ResponseWriter, _ *http.Request) {
		if !refused {
			refused = true
			_, _ = io.WriteString(rw, soapReply("NoError", "<UserResponse><ErrorCode>InvalidSetting</ErrorCode></UserResponse>"))
		}
	}
	w.serve("https://mail.contoso.test", s)
	if r := one(t, w.client(t, fixed), "ada@contoso.test"); r.Err != nil || slices.Contains(s.asked[0], "GroupingInformation") {
		t.Errorf("%+v, asked for %v", r, s.asked)
	}
}

func TestErrorsOfOneMailboxStayItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.serve("https://mail.contoso.test", &server{any: settingsOf("m"), users: map[string]string{
			"nobody@contoso.test":  "<ErrorCode>InvalidUser</ErrorCode>",
			"domain@contoso.test":  "<ErrorCode>InvalidDomain</ErrorCode>",
			"broken@contoso.test":  "<ErrorCode>InternalServerError</ErrorCode>",
			"strange@contoso.test": "<ErrorCode>SomethingNew</ErrorCode>",
			"busy@contoso.test":    "<ErrorCode>ServerBusy</ErrorCode>",
			"bare@contoso.test":    "<ErrorCode>NoError</ErrorCode>",
			"plain@contoso.test": `<ErrorCode>NoError</ErrorCode><UserSettings><UserSetting><Name>ExternalEwsUrl</Name>` +
				`<Value>http://mail/EWS</Value></UserSetting></UserSettings>`,
			"setting@contoso.test": `<ErrorCode>NoError</ErrorCode><UserSettingErrors><UserSettingError><ErrorCode>InternalServerError</ErrorCode>` +
				`<SettingName>ExternalEwsUrl</SettingName></UserSettingError></UserSettingErrors>`,
		}})
		addresses := []string{
			"ada@contoso.test", "nobody@contoso.test", "domain@contoso.test", "broken@contoso.test",
			"strange@contoso.test", "busy@contoso.test", "bare@contoso.test", "plain@contoso.test", "setting@contoso.test", "zoe@contoso.test",
		}
		results := w.client(t, fixed).Discover(t.Context(), addresses)
		server := &ServerError{}
		for i, want := range []error{nil, ErrNoSuchMailbox, ErrNoSuchMailbox, server, server, ErrBusy, ErrNoEWS, ErrNoEWS, server, nil} {
			got := results[i].Err
			switch {
			case want == nil && got == nil:
			case want == server && errors.As(got, new(*ServerError)):
			case want != nil && errors.Is(got, want):
			default:
				t.Errorf("%s: error %v, want %v", addresses[i], got, want)
			}
		}
	})
}

func TestABusyServerMakesTheRealmPauseThenAnswers(t *testing.T) {
	for name, busy := range map[string]http.HandlerFunc{
		// As recorded from Exchange 2013: ServerBusy for the whole, nobody answered.
		"ServerBusy": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, soapReply("ServerBusy", "")) },
		"503":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
		"429":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) },
		"nobody":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, soapReply("NoError", "")) },
		"Retry-After": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "40")
			w.WriteHeader(503)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				answers := 0
				var times []time.Time
				s := &server{any: settingsOf("mail.contoso.test")}
				s.before = func(rw http.ResponseWriter, r *http.Request) {
					times = append(times, time.Now())
					if answers++; answers < busyTriesMax {
						busy(rw, r)
					}
				}
				w.serve("https://mail.contoso.test", s)
				addresses := population(3, "contoso.test")
				start := time.Now()
				wantAll(t, w.client(t, fixed).Discover(t.Context(), addresses), addresses, "mail.contoso.test")
				for i, at := range times[1:] {
					gap := at.Sub(times[i])
					if bound := busyPauseMin << i; name != "Retry-After" && gap > bound {
						t.Errorf("pause %d of %v, want at most %v", i+1, gap, bound)
					}
					if name == "Retry-After" && gap < 40*time.Second {
						t.Errorf("pause %d of %v, but the server asked for 40 s", i+1, gap)
					}
				}
				if time.Since(start) == 0 {
					t.Error("no pause at all")
				}
			})
		})
	}
}

func TestAServerThatStaysBusyIsErrBusyAfterBoundedTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.serveFunc("https://mail.contoso.test", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(503) })
		for _, r := range w.client(t, fixed).Discover(t.Context(), population(120, "contoso.test")) {
			var busy *BusyError
			if !errors.Is(r.Err, ErrBusy) || !errors.As(r.Err, &busy) || busy.RetryAfter <= 0 {
				t.Fatalf("error %v", r.Err)
			}
		}
		if len(w.log) != busyTriesMax {
			t.Errorf("%d requests, want %d", len(w.log), busyTriesMax)
		}
	})
}

func TestALongRetryAfterIsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.serveFunc("https://mail.contoso.test", func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Retry-After", "3600")
			rw.WriteHeader(503)
		})
		c := w.client(t, fixed)
		var busy *BusyError
		if r := one(t, c, "ada@contoso.test"); !errors.As(r.Err, &busy) || busy.RetryAfter != time.Hour || len(w.log) != 1 {
			t.Errorf("error %v after %d requests", r.Err, len(w.log))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		r := c.Discover(ctx, []string{"brook@contoso.test"})[0]
		if !errors.Is(r.Err, ErrBusy) || len(w.log) != 1 || time.Since(start) != 0 {
			t.Errorf("during the pause: error %v, %d requests, %v", r.Err, len(w.log), time.Since(start))
		}
	})
}

func TestAPassingErrorIsTriedAgain(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"InternalServerError": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, soapReply("InternalServerError", ""))
		},
		"fault": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			_, _ = io.WriteString(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Server</faultcode><faultstring>oops</faultstring></s:Fault></s:Body></s:Envelope>`)
		},
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, soapReply("NoError", "")[:250])
		},
		"500 without a fault": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"502":                 func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				s := &server{any: settingsOf("mail.contoso.test")}
				failed := false
				s.before = func(rw http.ResponseWriter, r *http.Request) {
					if !failed {
						failed = true
						answer(rw, r)
					}
				}
				w.serve("https://mail.contoso.test", s)
				addresses := population(2, "contoso.test")
				wantAll(t, w.client(t, fixed).Discover(t.Context(), addresses), addresses, "mail.contoso.test")
			})
		})
	}
}

func TestAFaultThatBlamesTheQuestionHalvesTheBatch(t *testing.T) {
	w := newWorld()
	s := &server{any: settingsOf("mail.contoso.test")}
	first := true
	s.before = func(rw http.ResponseWriter, _ *http.Request) {
		if first {
			first = false
			rw.WriteHeader(500)
			_, _ = io.WriteString(rw, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Client</faultcode><faultstring>too many</faultstring></s:Fault></s:Body></s:Envelope>`)
		}
	}
	w.serve("https://mail.contoso.test", s)
	addresses := population(8, "contoso.test")
	wantAll(t, w.client(t, fixed).Discover(t.Context(), addresses), addresses, "mail.contoso.test")
	if !slices.Equal(s.sizes, []int{4, 4}) {
		t.Errorf("batches of %v", s.sizes)
	}
}

func TestAnAnswerThatIsNoAnswerMakesTheNextCandidateTry(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"HTML": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<html><body>hello</body></html>")
		},
		"truncated": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, soapReply("NoError", "")[:200]) },
		"too long": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, soapReply("NoError", "<UserResponse>"+settingsOf("m")+"</UserResponse>")+strings.Repeat(" ", 10<<20))
		},
		"too many answers": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, soapReply("NoError", strings.Repeat("<UserResponse><ErrorCode>NoError</ErrorCode></UserResponse>", 9)))
		},
		"403": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) },
		"401": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) },
		"404": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				bad := &server{}
				bad.before = func(rw http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodPost {
						answer(rw, r)
					}
				}
				w.serve("https://contoso.test", bad)
				w.serve("https://autodiscover.contoso.test", &server{any: settingsOf("mail.contoso.test")})
				addresses := population(4, "contoso.test")
				wantAll(t, w.client(t, nil).Discover(t.Context(), addresses), addresses, "mail.contoso.test")
			})
		})
	}
}

func TestASilentCandidateCostsItsTimeOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.serveFunc("https://contoso.test", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		slow := &server{any: settingsOf("m")}
		slow.before = func(_ http.ResponseWriter, r *http.Request) { time.Sleep(4 * time.Second) }
		w.serve("https://autodiscover.contoso.test", slow)
		start := time.Now()
		r := one(t, w.client(t, nil), "ada@contoso.test")
		if r.Err != nil || time.Since(start) != TimeoutDefault+8*time.Second {
			t.Errorf("error %v after %v\n%s", r.Err, time.Since(start), ladderText(r))
		}
		if r.Ladder[0].Took != TimeoutDefault {
			t.Errorf("the silent candidate took %v", r.Ladder[0].Took)
		}
	})
}

func TestWhenTheContextEndsEveryMissingResultSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.serveFunc("https://mail.contoso.test", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		for _, r := range w.client(t, fixed).Discover(ctx, population(200, "contoso.test")) {
			if !errors.Is(r.Err, context.DeadlineExceeded) {
				t.Fatalf("error %v", r.Err)
			}
		}
		if time.Since(start) != 3*time.Second {
			t.Errorf("after %v", time.Since(start))
		}
	})
}

func TestRefusedCredentialsAreFoundInTheError(t *testing.T) {
	refused := errors.New("the account was refused")
	w := newWorld()
	w.serve("https://contoso.test", &server{})
	c := w.client(t, func(o *Options) {
		o.Transport = roundTripper(func(*http.Request) (*http.Response, error) { return nil, refused })
	})
	if r := one(t, c, "ada@contoso.test"); !errors.Is(r.Err, refused) || !errors.Is(r.Err, ErrNoEndpoint) {
		t.Errorf("error %v", r.Err)
	}
}

func TestOptionsAreCheckedByName(t *testing.T) {
	for field, o := range map[string]Options{
		"Transport":      {},
		"BatchMax":       {Transport: http.DefaultTransport, BatchMax: -1},
		"Timeout":        {Transport: http.DefaultTransport, Timeout: -1},
		"want an https":  {Transport: http.DefaultTransport, Endpoints: map[string]string{"contoso.test": "http://mail.contoso.test/"}},
		"path":           {Transport: http.DefaultTransport, Endpoints: map[string]string{"contoso.test": "https://mail.contoso.test/EWS/Exchange.asmx"}},
		"user name":      {Transport: http.DefaultTransport, Endpoints: map[string]string{"contoso.test": "https://u:p@mail.contoso.test/"}},
		"Endpoints":      {Transport: http.DefaultTransport, Endpoints: map[string]string{"not a domain": "https://mail.contoso.test/"}},
		"RedirectHosts":  {Transport: http.DefaultTransport, RedirectHosts: []string{"*.evil.test"}},
		"AddressDomains": {Transport: http.DefaultTransport, AddressDomains: []string{"@x"}},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), field) || strings.Contains(err.Error(), "u:p") {
			t.Errorf("error %v, want one that names %s", err, field)
		}
	}
}

func TestAddressesAreReadStrictly(t *testing.T) {
	for _, bad := range []string{
		"", "ada", "@contoso.test", "ada@", "a b@contoso.test", "a@b@contoso.test", "ada@127.0.0.1",
		"ada@-x.test", "ada@contoso..test", "ada@contoso.test/evil", "ada@evil.test:443", "ada\r\n@contoso.test", strings.Repeat("a", 250) + "@contoso.test",
	} {
		if a, err := parseAddress(bad); !errors.Is(err, ErrAddress) {
			t.Errorf("%q was read as %v", bad, a)
		}
	}
	for _, good := range []string{"ada@contoso.test", "Ada.O'Neil+x@Contoso.Test", "jörg@contoso.test", "ada@host"} {
		if _, err := parseAddress(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

func TestAnEndPointThatBreaksOffIsAskedAgainAboutTheRest(t *testing.T) {
	w := newWorld()
	s := &server{any: settingsOf("mail.contoso.test")}
	w.serve("https://mail.contoso.test", s)
	requests := 0
	c := w.client(t, func(o *Options) {
		fixed(o)
		o.ParallelMax = 1
		inner := o.Transport
		o.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			if requests++; requests == 2 || requests == 3 {
				return nil, errors.New("connection reset")
			}
			return inner.RoundTrip(r)
		})
	})
	addresses := population(160, "contoso.test")
	wantAll(t, c.Discover(t.Context(), addresses), addresses, "mail.contoso.test")
}

func TestABusyFrontEndIsNotMistakenForAMissingOne(t *testing.T) {
	for name, c := range map[string]struct {
		retryAfter string
		answers    int // busy ones
		probes     int
		busy       time.Duration // 0: in the end there are settings
	}{
		"for a while":           {"20", 3, 4, 0},
		"for good":              {"20", 1000, busyTriesMax, 20 * time.Second},
		"for longer than we go": {"900", 1000, 1, 15 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				n := 0
				s := &server{any: settingsOf("m"), before: func(rw http.ResponseWriter, _ *http.Request) {
					if n++; n <= c.answers {
						rw.Header().Set("Retry-After", c.retryAfter)
						rw.WriteHeader(503)
					}
				}}
				w.serve("https://autodiscover.contoso.test", s)
				r := one(t, w.client(t, nil), "ada@contoso.test")
				var busy *BusyError
				switch {
				case c.busy == 0 && r.Err == nil:
				case c.busy != 0 && errors.As(r.Err, &busy) && busy.RetryAfter >= c.busy:
				default:
					t.Errorf("error %v\n%s", r.Err, ladderText(r))
				}
				if got := w.asked("GET https://autodiscover.contoso.test"); got != c.probes {
					t.Errorf("%d probes, want %d", got, c.probes)
				}
			})
		})
	}
}
