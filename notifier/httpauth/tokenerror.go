package httpauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	msal "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"
)

// TokenError says why there is no token.
type TokenError struct {
	Application string    // client ID
	Status      int       // of the authority's answer; 0: there was none
	Code        string    // OAuth error, such as invalid_client; "" if unknown
	AADSTS      string    // the directory's code, such as AADSTS7000215; for people, it may change
	Text        string    // what the directory says about it, shortened
	Permanent   bool      // an administrator must mend something
	NextTry     time.Time // until then Token fails with this error
	Err         error     // what the transport said; may be nil
}

func (e *TokenError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "httpauth: token for application %s", e.Application)
	if e.Status != 0 {
		fmt.Fprintf(&b, ": status %d", e.Status)
	}
	for _, s := range []string{e.Code, e.AADSTS, e.Text} {
		if s != "" {
			b.WriteString(": " + s)
		}
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

func (e *TokenError) Unwrap() error { return e.Err }

// explain turns an error of MSAL into ours. MSAL's own is never passed on: its
// text and fields hold whole requests and answers, secret and token included.
// The caller holds the lock.
func (s *TokenSource) explain(err error) *TokenError {
	e := &TokenError{Application: s.name}
	var wait time.Duration
	var call msal.CallErr
	var transport *url.Error
	switch {
	case errors.As(err, &call) && call.Resp != nil:
		e.Status = call.Resp.StatusCode
		wait = retryAfter(call.Resp.Header, time.Now())
		e.read(call.Resp.Body, s.secret)
	case errors.As(err, &transport):
		e.Err = transport.Err
	case errors.Is(err, context.DeadlineExceeded):
		e.Err = context.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		e.Err = context.Canceled
	case errors.Is(err, errExpired):
		e.Err = errExpired
	default:
		e.Text = "the authority's answer cannot be used"
	}
	// OAuth 2.0, RFC 6749 section 5.2: only the error decides, the codes of the
	// directory may change ("Microsoft Entra authentication and authorization
	// error codes").
	switch e.Code {
	case "invalid_client", "unauthorized_client", "invalid_request", "invalid_scope", "invalid_grant", "unsupported_grant_type":
		e.Permanent = e.Status != http.StatusTooManyRequests && e.Status < 500
	}
	if e.Permanent {
		wait = max(wait, tokenRetryPermanent)
	}
	if wait == 0 {
		wait = min(tokenRetryMin<<min(s.failures-1, 16), tokenRetryMax)
		wait = wait/2 + rand.N(wait/2)
	}
	e.NextTry = time.Now().Add(wait)
	return e
}

// read takes what may be shown from the authority's error document.
func (e *TokenError) read(body io.Reader, secret Secret) {
	var document struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.NewDecoder(io.LimitReader(body, tokenErrorMax)).Decode(&document) != nil {
		return
	}
	hide := func(s string) string {
		if secret == "" {
			return s
		}
		s = strings.ReplaceAll(s, string(secret), redacted)
		return strings.ReplaceAll(s, url.QueryEscape(string(secret)), redacted)
	}
	e.Code = printable(hide(document.Error), 64)
	text := hide(document.Description)
	if code, rest, ok := strings.Cut(text, ":"); ok && strings.HasPrefix(code, "AADSTS") {
		e.AADSTS, text = printable(code, 32), rest
	}
	text, _, _ = strings.Cut(text, "Trace ID:")
	text, _, _ = strings.Cut(text, "\r")
	text, _, _ = strings.Cut(text, "\n")
	e.Text = printable(strings.TrimSpace(text), tokenErrorTextMax)
}

// printable shortens s to max bytes and keeps control characters out.
func printable(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	return strings.ToValidUTF8(s[:min(len(s), limit)], "")
}

// retryAfter reads Retry-After: seconds or a date. RFC 9110, section 10.2.3.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.Atoi(v); err == nil {
		return min(max(0, time.Duration(min(seconds, 1<<20))*time.Second), time.Hour)
	}
	if at, err := http.ParseTime(v); err == nil {
		return min(max(0, at.Sub(now)), time.Hour)
	}
	return 0
}
