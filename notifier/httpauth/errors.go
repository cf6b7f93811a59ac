package httpauth

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

var (
	// ErrClosed says that the pool or the token source was closed.
	ErrClosed = errors.New("httpauth: closed")

	// ErrPlaintext says that the credentials must not travel unencrypted; use an
	// https URL.
	ErrPlaintext = errors.New("httpauth: credentials need https")

	// ErrForeignHost says that the credentials are not meant for the host; name
	// it in Options.Hosts if they are.
	ErrForeignHost = errors.New("httpauth: credentials are not for this host")
)

// RejectedError is a verified refusal of an account's credentials: the server
// read them, twice where a connection could have been to blame, and said no.
type RejectedError struct {
	Account     string
	Host        string    // who refused
	Status      int       // 401
	Offered     []string  // schemes the server asks for
	Failures    int       // refusals in a row by this host
	NextTry     time.Time // until then requests fail with this error, unsent
	Gated       bool      // this request was not sent at all
	Diagnostics string    // x-ms-diagnostics of the answer, shortened
}

func (e *RejectedError) Error() string {
	return fmt.Sprintf("httpauth: account %q: %s refuses the credentials (status %d, offers %s, %d in a row); check user and password; next try after %s",
		e.Account, e.Host, e.Status, list(e.Offered), e.Failures, e.NextTry.UTC().Format(time.RFC3339))
}

// HandshakeError says that an NTLM handshake did not come to its end, which
// says nothing about the password.
type HandshakeError struct {
	Account string
	Host    string
	Offered []string // schemes the server asks for
	Reason  string
	Err     error // what the transport said; may be nil
}

func (e *HandshakeError) Error() string {
	s := fmt.Sprintf("httpauth: account %q: handshake with %s: %s", e.Account, e.Host, e.Reason)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *HandshakeError) Unwrap() error { return e.Err }

func list(s []string) string {
	if len(s) == 0 {
		return "nothing"
	}
	return strings.Join(s, ", ")
}
