package fakeews

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ntlmssp "github.com/Azure/go-ntlmssp"

	"mailbell/fakes/exchange"
	"mailbell/fakes/iisauth"
	"mailbell/fakes/memnet"
	"mailbell/fakes/testcert"
)

// asked is a request past the test's own way of telling the account.
func (s *site) asked(rt http.RoundTripper, user, password string) (status int, reused bool, header http.Header) {
	s.t.Helper()
	trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }}
	r, err := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace), http.MethodPost,
		"http://mail.contoso.test/EWS/Exchange.asmx", strings.NewReader(ask{as: ada}.envelope(getFolderRequest(inbox))))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "text/xml; charset=utf-8")
	if user != "" {
		r.SetBasicAuth(user, password)
	}
	response, err := rt.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, reused, response.Header
}

// Checklist ews 2.
func TestTheSiteInFrontAsksForCredentials(t *testing.T) {
	for _, schemes := range [][]string{{"Negotiate", "NTLM", "Basic"}, {"Bearer"}} {
		inBubble(t, setup{schemes: schemes}, func(t *testing.T, s *site) {
			plain := s.client.Transport
			status, _, header := s.asked(plain, "", "")
			var offered []string
			for _, line := range header["Www-Authenticate"] {
				word, _, _ := strings.Cut(line, " ")
				offered = append(offered, word)
			}
			want(t, "status", status, 401)
			want(t, "schemes", strings.Join(offered, " "), strings.Join(schemes, " "))
			_, reused, _ := s.asked(plain, "", "")
			want(t, "connection kept", reused, true)
			if schemes[0] == "Bearer" {
				return
			}
			status, _, _ = s.asked(ntlmssp.Negotiator{RoundTripper: plain}, `CONTOSO\`+svc, password)
			want(t, "with NTLM", status, 200)
			status, reused, _ = s.asked(plain, "", "")
			want(t, "without credentials on that connection", status, 200)
			want(t, "the same connection", reused, true)
			plain.(*http.Transport).CloseIdleConnections()
			status, _, _ = s.asked(plain, "", "")
			want(t, "without credentials on another", status, 401)
		})
	}
}

// Checklist ews 54.
func TestAChangedPasswordIsAskedForAtTheNextRequest(t *testing.T) {
	inBubble(t, setup{schemes: []string{"Basic"}}, func(t *testing.T, s *site) {
		rt := s.client.Transport
		status, _, _ := s.asked(rt, svc, password)
		want(t, "old password", status, 200)
		s.org.AddAccount(iisauth.Account{User: svc, NetBIOS: "CONTOSO", Password: "another", Impersonation: true})
		status, _, _ = s.asked(rt, svc, password)
		want(t, "old password, after the change", status, 401)
		status, _, _ = s.asked(rt, svc, "another")
		want(t, "new password", status, 200)
	})
}

// TestTheTLSHandshakeCanBeReset: that misfortune is the network's, in front of
// the same handler.
//
// Checklist ews 57.
func TestTheTLSHandshakeCanBeReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const host = "mail.contoso.test:443"
		authority, err := testcert.NewAuthority()
		if err != nil {
			t.Fatal(err)
		}
		cert, err := authority.Server("mail.contoso.test")
		if err != nil {
			t.Fatal(err)
		}
		org, err := exchange.New(exchange.Options{})
		if err != nil {
			t.Fatal(err)
		}
		fake, err := New(Options{Organisation: org, Anonymous: &iisauth.Identity{Account: svc}})
		if err != nil {
			t.Fatal(err)
		}
		network := memnet.New(memnet.Options{Latency: 10 * time.Millisecond})
		l, err := network.Listen(host)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: fake}
		served := make(chan error)
		go func() {
			served <- server.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}))
		}()
		handshake := func(cut bool) error {
			conn, err := network.Dial(t.Context(), "tcp", host)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			client := tls.Client(conn, &tls.Config{ServerName: "mail.contoso.test", RootCAs: authority.Pool(), MinVersion: tls.VersionTLS12})
			if cut {
				time.AfterFunc(5*time.Millisecond, func() { network.Cut(host) }) // the first message is on its way
			}
			return client.HandshakeContext(t.Context())
		}
		if err := handshake(true); err == nil {
			t.Error("the handshake came to its end")
		}
		if err := handshake(false); err != nil {
			t.Errorf("the next one: %v", err)
		}
		if err := errors.Join(server.Close(), fake.Close(), network.Close()); err != nil {
			t.Error(err)
		}
		<-served
	})
}

// Checklist auth 31.
func TestAnApplicationHasToImpersonateAndShouldNameAnAnchor(t *testing.T) {
	inBubble(t, setup{fake: Options{Anonymous: &iisauth.Identity{Account: "app", AppOnly: true, Impersonation: true}}}, func(t *testing.T, s *site) {
		violations := func() (n int) {
			for _, e := range s.journal.After(0) {
				if e.Kind == "violation" && e.Reason == "anchor-missing" {
					n++
				}
			}
			return n
		}
		r := s.post(ask{account: "-", http: map[string]string{"X-AnchorMailbox": ada}}, getFolderRequest(inbox))
		want(t, "without impersonation", r.code(), "ErrorImpersonateUserDenied")
		contains(t, "text", r.body, "ExchangeImpersonation SOAP header must be present")
		want(t, "with impersonation and anchor", s.post(ask{account: "-", as: ada, http: map[string]string{"X-AnchorMailbox": ada}}, getFolderRequest(inbox)).code(), "NoError")
		want(t, "violations so far", violations(), 0)
		want(t, "without anchor", s.post(ask{account: "-", as: ada}, getFolderRequest(inbox)).code(), "NoError")
		want(t, "violations", violations(), 1)
	})
}

// Checklist auth 33 [Online].
func TestTheSwitchesOfATenantCloseEWSWhileStreamsGoOn(t *testing.T) {
	yes, no := true, false
	app := &iisauth.Identity{Account: "app-1", AppOnly: true, Impersonation: true}
	inBubble(t, setup{organisation: exchange.Options{Version: exchange.VOnline}, fake: Options{Anonymous: app}}, func(t *testing.T, s *site) {
		status := func() int {
			return s.post(ask{account: "-", as: ada, http: map[string]string{"X-AnchorMailbox": ada}}, getFolderRequest(inbox)).status
		}
		set := func(p exchange.EWSPolicy) {
			t.Helper()
			if err := s.org.SetEWSPolicy(p, 0); err != nil {
				t.Fatal(err)
			}
		}
		want(t, "nothing said", status(), 200)
		id := s.post(ask{account: "-", as: ada}, subscribeRequest(inbox, "NewMailEvent"))
		st := s.open(ask{account: "-", as: ada}, 1, values(id.body, "SubscriptionId")...).ok()
		defer st.close()
		set(exchange.EWSPolicy{Enabled: &no})
		want(t, "switched off", status(), 403)
		s.mail(ada, "x")
		want(t, "the open stream", st.must().kinds(), "NewMailEvent")
		set(exchange.EWSPolicy{Enabled: &yes, AllowedApps: []string{"app-2"}})
		want(t, "another application is allowed", status(), 403)
		set(exchange.EWSPolicy{Enabled: &yes, AllowedApps: []string{"app-1"}})
		want(t, "this one is", status(), 200)
		if err := s.org.SetMailboxEWS(ada, &no); err != nil {
			t.Fatal(err)
		}
		want(t, "closed for the mailbox", status(), 403)
	})
}

// Checklist auth 32 [Online].
func TestAnApplicationOpensMailboxesOfItsScopeOnly(t *testing.T) {
	app := &iisauth.Identity{Account: "app-1", AppOnly: true, Impersonation: true}
	inBubble(t, setup{organisation: exchange.Options{Version: exchange.VOnline}, fake: Options{Anonymous: app}}, func(t *testing.T, s *site) {
		if err := s.org.ScopeImpersonation("app-1", []string{ada}); err != nil {
			t.Fatal(err)
		}
		code := func(as string) string { return s.post(ask{account: "-", as: as}, getFolderRequest(inbox)).code() }
		want(t, "within", code(ada), "NoError")
		want(t, "outside", code(bob), "ErrorImpersonateUserDenied")
		want(t, "nobody's", code("nobody@contoso.test"), "ErrorNonExistentMailbox")
	})
}
