package autodiscover

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

var (
	// ErrAddress says that the text is no e-mail address.
	ErrAddress = errors.New("autodiscover: not an e-mail address")
	// ErrNoSuchMailbox says that the server knows no such mailbox or domain.
	ErrNoSuchMailbox = errors.New("autodiscover: no such mailbox")
	// ErrNoEWS says that the mailbox exists but no EWS URL is published for it.
	ErrNoEWS = errors.New("autodiscover: no EWS URL published for the mailbox; set InternalUrl or ExternalUrl of the EWS virtual directory, with https")
	// ErrBusy says that the server was busy for longer than one can wait.
	ErrBusy = errors.New("autodiscover: server busy")
	// ErrNoEndpoint says that no candidate of the domain answered.
	ErrNoEndpoint = errors.New("autodiscover: no end point")
	// ErrRedirectRefused says that a redirect leads where credentials must not go.
	ErrRedirectRefused = errors.New("autodiscover: redirect refused")
	// ErrRedirectLoop says that redirects lead in a circle.
	ErrRedirectLoop = errors.New("autodiscover: redirects lead in a circle")
	// ErrRedirectLimit says that there were more than RedirectsMax redirects.
	ErrRedirectLimit = errors.New("autodiscover: too many redirects")
)

// BusyError is an ErrBusy with the time to wait.
type BusyError struct {
	RetryAfter time.Duration
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("%v; try again in %v", ErrBusy, e.RetryAfter.Round(time.Second))
}

func (e *BusyError) Unwrap() error { return ErrBusy }

// NoEndpointError is an ErrNoEndpoint with what each candidate said. An error of
// the transport, such as refused credentials, is found in it by errors.As.
type NoEndpointError struct {
	Domain string
	Errs   []error
}

func (e *NoEndpointError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "autodiscover: no end point for %s answers", e.Domain)
	for i, err := range e.Errs {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		b.WriteString(sep + err.Error())
	}
	return b.String()
}

func (e *NoEndpointError) Unwrap() []error { return append([]error{ErrNoEndpoint}, e.Errs...) }

// RedirectRefusedError is an ErrRedirectRefused.
type RedirectRefusedError struct {
	Domain string // whose mailboxes are concerned
	Host   string // where the redirect leads: a host, or the domain of an address
	Reason string
}

func (e *RedirectRefusedError) Error() string {
	return fmt.Sprintf("autodiscover: %s redirects to %s: refused: %s", e.Domain, e.Host, e.Reason)
}

func (e *RedirectRefusedError) Unwrap() error { return ErrRedirectRefused }

// ServerError is an answer that reports an error of the server, or one that is
// not understood.
type ServerError struct {
	Code   string // Autodiscover's ErrorCode or the code of a SOAP fault; may be empty
	Status int    // of HTTP
	Text   string // what the server says about it, shortened
}

func (e *ServerError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "autodiscover: status %d", e.Status)
	for _, s := range []string{e.Code, e.Text} {
		if s != "" {
			b.WriteString(": " + s)
		}
	}
	return b.String()
}
