package wns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// accessToken is what the token service gave us.
type accessToken struct {
	value   string
	fetched time.Time
	renew   time.Time // when the next one is asked for, in the background
	expires time.Time
}

// tokenSource holds one app's access token. However many notifications wait,
// one request to the token service is under way at most. Safe for concurrent
// use.
type tokenSource struct {
	app  App
	http *http.Client
	log  *slog.Logger

	mu       sync.Mutex
	current  accessToken
	accepted bool          // WNS has taken the current token
	refused  int           // tokens in a row that WNS never took
	fetching chan struct{} // closed when the request under way ends; nil: none
	failures int           // in a row
	askFrom  time.Time     // no request before, unless there is nothing to lose
	failed   error         // why the last request failed
	closed   bool
	stop     context.CancelFunc // ends the request under way
	work     sync.WaitGroup
}

// tokenDownError says that there is no token and when it is asked for again.
type tokenDownError struct {
	cause error
	wait  time.Duration
}

func (e *tokenDownError) Error() string {
	return fmt.Sprintf("%v; next attempt in %s", e.cause, e.wait.Round(time.Second))
}
func (e *tokenDownError) Unwrap() error { return e.cause }

// TokenError is a refusal by the token service.
type TokenError struct {
	App         string // App.Name
	Status      int
	Code        string // OAuth error code, "invalid_client"
	Description string // the service's words
}

func (e *TokenError) Error() string {
	text := fmt.Sprintf("wns: app %q: token service answered %d", e.App, e.Status)
	if e.Code != "" {
		text += " " + e.Code
	}
	if e.Description != "" {
		text += " (" + e.Description + ")"
	}
	switch e.Code {
	case "invalid_client", "unauthorized_client":
		text += "; check the app's identity and secret"
	case "invalid_scope":
		text += "; check the kind of the app"
	}
	return text
}

// token is the token to use now. It waits when there is none yet; when there
// is one it never waits, and past its time of renewal it has the next one
// fetched in the background.
func (s *tokenSource) token(ctx context.Context) (accessToken, error) {
	for {
		now := time.Now()
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return accessToken{}, errClosed
		}
		usable := s.current.value != "" && now.Before(s.current.expires)
		if usable && now.Before(s.current.renew) {
			t := s.current
			s.mu.Unlock()
			return t, nil
		}
		if s.fetching == nil {
			if wait := s.askFrom.Sub(now); wait <= 0 {
				s.fetch()
			} else if !usable {
				err := &tokenDownError{cause: s.failed, wait: wait}
				s.mu.Unlock()
				return accessToken{}, err
			}
		}
		t, done := s.current, s.fetching
		s.mu.Unlock()
		if usable {
			return t, nil
		}
		select {
		case <-done:
		case <-ctx.Done():
			return accessToken{}, ctx.Err()
		}
	}
}

// reject says that WNS answered 401 to the token. It returns true when another
// token is to be tried: there is one already, or one may be asked for.
func (s *tokenSource) reject(t accessToken) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.value != s.current.value {
		return true
	}
	if !s.accepted {
		s.refused++
		if s.refused > 1 && time.Since(t.fetched) < tokenRenewGap {
			return false
		}
	}
	s.current = accessToken{}
	return true
}

// refresh has the token renewed now, unless it is young, keeping it meanwhile.
func (s *tokenSource) refresh(t accessToken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if t.value == s.current.value && now.Sub(t.fetched) >= tokenRenewGap && s.fetching == nil && !now.Before(s.askFrom) && !s.closed {
		s.fetch()
	}
}

// accept says that WNS took the token.
func (s *tokenSource) accept(t accessToken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.value == s.current.value {
		s.accepted, s.refused = true, 0
	}
}

// fetch starts the one request. Called with mu held.
func (s *tokenSource) fetch() {
	ctx, stop := context.WithTimeout(context.Background(), tokenTimeout)
	done := make(chan struct{})
	s.fetching, s.stop = done, stop
	s.work.Go(func() {
		defer stop()
		t, wait, err := s.request(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.fetching = nil
		defer close(done)
		if err != nil {
			s.failures++
			wait = max(wait, tokenBackoff(s.failures))
			s.failed, s.askFrom = err, time.Now().Add(wait)
			if !s.closed {
				s.log.Warn("wns: no access token", "app", s.app.Name, "failures", s.failures, "next", wait.Round(time.Second), "error", err)
			}
			return
		}
		s.failures, s.failed, s.askFrom = 0, nil, time.Time{}
		s.current, s.accepted = t, false
		s.log.Info("wns: access token", "app", s.app.Name, "expires", t.expires)
	})
}

// request asks the token service once. wait is what a failed answer asks for.
func (s *tokenSource) request(ctx context.Context) (t accessToken, wait time.Duration, err error) {
	address, form := s.app.tokenRequest()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return t, 0, fmt.Errorf("wns: app %q: token service: the address is not a URL", s.app.Name)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := s.http.Do(req)
	if err != nil {
		return t, 0, fmt.Errorf("wns: app %q: token service: %w", s.app.Name, redact(err, s.app.Secret))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, tokenAnswerMax))
	if err != nil {
		return t, 0, fmt.Errorf("wns: app %q: token service: %w", s.app.Name, redact(err, s.app.Secret))
	}
	now := time.Now()
	if resp.StatusCode != http.StatusOK {
		e := &TokenError{App: s.app.Name, Status: resp.StatusCode}
		e.Code, e.Description = parseTokenError(body)
		e.Description = strings.ReplaceAll(e.Description, s.app.Secret, "<secret>")
		return t, parseRetryAfter(resp.Header.Get("Retry-After"), now), e
	}
	value, life, err := parseToken(body)
	if err != nil {
		return t, 0, fmt.Errorf("wns: app %q: token service: %w", s.app.Name, err)
	}
	share := tokenRenewPercent + (2*rand.Float64()-1)*tokenRenewSpread
	return accessToken{
		value:   value,
		fetched: now,
		renew:   now.Add(time.Duration(float64(life) * share / 100)),
		expires: now.Add(life),
	}, 0, nil
}

// parseToken reads a token answer (RFC 6749 "Successful Response"). expires_in
// is optional and may be a string: the services differ.
func parseToken(body []byte) (value string, life time.Duration, err error) {
	var fields struct {
		TokenType   string          `json:"token_type"`
		AccessToken string          `json:"access_token"`
		ExpiresIn   json.RawMessage `json:"expires_in"`
	}
	// No error here quotes the body: it may hold a token.
	if json.Unmarshal(body, &fields) != nil {
		return "", 0, errors.New("the answer is not a JSON token answer; is a proxy or a sign-in page in between?")
	}
	switch {
	case !strings.EqualFold(fields.TokenType, "bearer"):
		return "", 0, errors.New("token_type is not bearer")
	case fields.AccessToken == "" || len(fields.AccessToken) > tokenLenMax || !isVisible(fields.AccessToken):
		return "", 0, errors.New("access_token is not a token")
	}
	life = tokenLifeDefault
	if text := strings.Trim(string(fields.ExpiresIn), `"`); text != "" && text != "null" {
		s, err := strconv.ParseInt(text, 10, 64)
		if err != nil || s <= 0 {
			return "", 0, errors.New("expires_in is not a number of seconds")
		}
		life = time.Duration(min(s, int64(tokenLifeMax/time.Second))) * time.Second
	}
	return fields.AccessToken, life, nil
}

// parseTokenError reads an OAuth error (RFC 6749 "Error Response").
func parseTokenError(body []byte) (code, description string) {
	var fields struct {
		Code        json.RawMessage `json:"error"`
		Description json.RawMessage `json:"error_description"`
	}
	if json.Unmarshal(body, &fields) != nil {
		return "", ""
	}
	_ = json.Unmarshal(fields.Code, &code)
	_ = json.Unmarshal(fields.Description, &description)
	return printable(code), printable(description)
}

func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// shut ends the request under way; close waits for it.
func (s *tokenSource) shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.fetching != nil {
		s.stop()
	}
}

// tokenBackoff is the wait after n failures in a row: 1 s doubled up to 5 min,
// less up to a fifth.
func tokenBackoff(n int) time.Duration {
	d := min(tokenBackoffMin<<min(n-1, 16), tokenBackoffMax)
	return d - time.Duration(rand.Int64N(int64(d)/5))
}

// redact takes the URL and the given secrets out of an error.
func redact(err error, secrets ...string) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	for _, secret := range secrets {
		if secret != "" && err != nil && strings.Contains(err.Error(), secret) {
			err = errors.New(strings.ReplaceAll(err.Error(), secret, "<secret>"))
		}
	}
	return err
}
