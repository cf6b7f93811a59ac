package ews

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// frontEnd plays the server to an affinity.
type frontEnd struct {
	a    *Affinity
	host string
}

func (f frontEnd) sets(cookies ...string) {
	f.a.keep(&http.Response{Header: http.Header{"Set-Cookie": cookies}}, f.host)
}

func (f frontEnd) gets() string {
	r, _ := http.NewRequest(http.MethodPost, "https://"+f.host, nil)
	f.a.apply(r, f.host)
	return r.Header.Get("Cookie")
}

func TestGroupKeepsItsServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := frontEnd{NewAffinity(), "mail.contoso.test"}
		step := func(what, want string) {
			t.Helper()
			if got := f.gets(); got != want {
				t.Errorf("%s: cookies %q, want %q", what, got, want)
			}
		}
		step("nothing yet", "")
		if s := f.a.Server(); s != "" {
			t.Errorf("server %q, want none", s)
		}
		f.sets("exchangecookie=aa; expires="+time.Now().AddDate(1, 0, 0).UTC().Format(http.TimeFormat)+"; path=/; HttpOnly",
			"X-BackEndOverrideCookie=srv1.contoso.test~1942062522; path=/; secure; HttpOnly",
			"X-BackEndCookie=S-1-5=u56; expires="+time.Now().Add(10*time.Minute).UTC().Format(http.TimeFormat)+"; path=/EWS; secure; HttpOnly")
		step("first answer", "exchangecookie=aa; X-BackEndOverrideCookie=srv1.contoso.test~1942062522; X-BackEndCookie=S-1-5=u56")
		if s := f.a.Server(); s != "srv1.contoso.test" {
			t.Errorf("server %q, want srv1", s)
		}
		f.sets("X-BackEndOverrideCookie=srv2.contoso.test~1", "X-BackEndCookie=S-1-5=u57; Max-Age=600", "exchangecookie=bb")
		step("another server's override does not count", "exchangecookie=bb; X-BackEndOverrideCookie=srv1.contoso.test~1942062522; X-BackEndCookie=S-1-5=u57")
		time.Sleep(10 * time.Minute)
		step("ten minutes later", "exchangecookie=bb; X-BackEndOverrideCookie=srv1.contoso.test~1942062522")
		f.sets("X-BackEndOverrideCookie=; Max-Age=0")
		step("taken back", "exchangecookie=bb")
		f.sets("X-BackEndOverrideCookie=srv2.contoso.test~1")
		step("given anew", "exchangecookie=bb; X-BackEndOverrideCookie=srv2.contoso.test~1")
	})
}

func TestCookiesStayWithTheirHostAndInBounds(t *testing.T) {
	f := frontEnd{NewAffinity(), "mail.contoso.test"}
	f.sets("exchangecookie=aa")
	if got := (frontEnd{f.a, "elsewhere.test"}).gets(); got != "" {
		t.Errorf("another host gets %q", got)
	}
	frontEnd{f.a, "elsewhere.test"}.sets("exchangecookie=bb")
	if got := f.gets(); got != "exchangecookie=aa" {
		t.Errorf("another host changed the cookies to %q", got)
	}
	f.sets("big=" + strings.Repeat("x", cookieSizeMax))
	for i := range 10 * cookiesMax {
		f.sets(fmt.Sprintf("c%d=x", i))
	}
	if got := f.gets(); strings.Contains(got, "big") || strings.Count(got, "=") != cookiesMax {
		t.Errorf("%d cookies kept, want %d", strings.Count(got, "="), cookiesMax)
	}
}

func TestGroupsDoNotShareCookies(t *testing.T) {
	var mu sync.Mutex
	var got []string
	c := clientFor(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Header.Get("Cookie"))
		w.Header().Add("Set-Cookie", fmt.Sprintf("X-BackEndOverrideCookie=srv%d~1; path=/; secure; HttpOnly", len(got)))
		w.WriteHeader(http.StatusServiceUnavailable) // a failure routes as well
	}))
	var a, b *Affinity
	for _, op := range operations {
		mu.Lock()
		got = got[:0]
		mu.Unlock()
		a, b = NewAffinity(), NewAffinity()
		for _, group := range []*Affinity{a, b, a, b, nil} {
			if _, ok := errors.AsType[*HTTPError](op.call(t.Context(), c, Caller{Affinity: group})); !ok {
				t.Fatal("no answer")
			}
		}
		if want := []string{"", "", "X-BackEndOverrideCookie=srv1~1", "X-BackEndOverrideCookie=srv2~1", ""}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: cookies %q, want %q", op.name, got, want)
		}
	}
}

func TestGroupMaySubscribeInParallel(t *testing.T) {
	success := saying(t, "unsubscribe_response.xml")
	c := clientFor(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Set-Cookie", "X-BackEndOverrideCookie=srv1~1; path=/")
		success.ServeHTTP(w, r)
	}))
	a := NewAffinity()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := c.Unsubscribe(t.Context(), Caller{Affinity: a}, "x"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if a.Server() != "srv1" {
		t.Errorf("server %q", a.Server())
	}
}
