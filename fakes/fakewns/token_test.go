package fakewns_test

import (
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailbell/fakes/fakewns"
	"mailbell/fakes/fault"
)

// Checklist push 63.
func TestRule63IssuesTokens(t *testing.T) {
	s := overTCP(t, fakewns.Options{})
	status, out := s.fetch(form(sid, secret))
	token, _ := out["access_token"].(string)
	if status != 200 || out["token_type"] != "bearer" || out["expires_in"] != 86400.0 {
		t.Errorf("%d %v", status, out["token_type"])
	}
	if len(token) < 350 || len(token) > 450 || !strings.Contains(token, "/") || !strings.Contains(token, "+") || !strings.HasSuffix(token, "=") {
		t.Errorf("a token of %d characters, want some 400 with /, + and =", len(token))
	}
	if _, present := overTCPToken(t, fakewns.Options{NoExpiresIn: true})["expires_in"]; present {
		t.Error("expires_in is there in spite of NoExpiresIn")
	}
}

func overTCPToken(t *testing.T, o fakewns.Options) map[string]any {
	t.Helper()
	_, out := overTCP(t, o).fetch(form(sid, secret))
	return out
}

// Checklist push 64.
func TestRule64RefusesTokenRequests(t *testing.T) {
	s := overTCP(t, fakewns.Options{})
	for _, c := range []struct{ name, field, value, want string }{
		{"unknown client", "client_id", "ms-app://x", "invalid_client"},
		{"wrong secret", "client_secret", "x", "invalid_client"},
		{"wrong grant", "grant_type", "password", "unsupported_grant_type"},
		{"wrong scope", "scope", "x", "invalid_scope"},
		{"no grant", "grant_type", "", "invalid_request"},
		{"no client", "client_id", "", "invalid_request"},
		{"no secret", "client_secret", "", "invalid_request"},
		{"no scope", "scope", "", "invalid_request"},
	} {
		f := form(sid, secret)
		f.Set(c.field, c.value)
		if status, out := s.fetch(f); status != 400 || out["error"] != c.want {
			t.Errorf("%s: %d %v, want 400 %s", c.name, status, out["error"], c.want)
		}
	}
}

// Checklist push 66.
func TestRule66CountsAndJournalsTokenRequestsWithoutTheirSecret(t *testing.T) {
	s := overTCP(t, fakewns.Options{})
	s.fetch(form(sid, secret))
	s.fetch(form(sid, "wrong-secret"))
	if got := s.Stats().Tokens; got != 2 {
		t.Errorf("%d token requests, want 2", got)
	}
	list := s.journal.After(0)
	if len(list) != 2 || list[0].Server != "wns-token" || list[0].Kind != "token" || list[0].Status != 200 || list[1].Reason != "invalid_client" {
		t.Fatalf("journal: %+v", list)
	}
	for _, e := range list {
		for _, v := range e.Detail {
			if strings.Contains(v, secret) || strings.Contains(v, "wrong-secret") {
				t.Error("a secret is in the journal")
			}
		}
		if len(e.Body) > 0 {
			t.Error("a token request's body is in the journal")
		}
	}
}

// Checklist push 67.
func TestRule67TokensExpireAndSeveralAreValid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t, fakewns.Options{TokenLife: time.Minute}).login()
		uri, first := s.NewChannel("mail"), s.token
		time.Sleep(40 * time.Second)
		s.login()
		if s.token == first {
			t.Fatal("the second token is the first")
		}
		for _, tok := range []string{first, s.token} {
			if a := s.send(uri, toast, "Authorization", "Bearer "+tok); a.status != 200 {
				t.Errorf("both valid: %d", a.status)
			}
		}
		time.Sleep(20 * time.Second)
		if a := s.send(uri, toast, "Authorization", "Bearer "+first); a.status != 401 {
			t.Errorf("at the end of its life: %d, want 401", a.status)
		}
		if a := s.send(uri, toast); a.status != 200 {
			t.Errorf("the younger one: %d, want 200", a.status)
		}
	})
}

func TestTokenFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t, fakewns.Options{})
		scope := fault.Scope{Server: "wns-token", Account: sid}
		s.strike(fault.Fault{Name: "wns.token-503", Scope: scope, Count: 1})
		if status, _ := s.fetch(form(sid, secret)); status != 503 {
			t.Errorf("token-503: %d", status)
		}
		s.strike(fault.Fault{Name: "wns.token-html", Count: 1})
		if status, out := s.fetch(form(sid, secret)); status != 200 || out != nil {
			t.Errorf("token-html: %d %v", status, out)
		}
		s.strike(fault.Fault{Name: "wns.token-slow", Count: 1, Args: map[string]string{"delay": "7s"}})
		before := time.Now()
		if status, _ := s.fetch(form(sid, secret)); status != 200 || time.Since(before) < 7*time.Second {
			t.Errorf("token-slow: %d after %v", status, time.Since(before))
		}
		if status, _ := s.fetch(url.Values{}); status != 400 {
			t.Errorf("calm again: %d", status)
		}
	})
}
