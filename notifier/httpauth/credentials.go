package httpauth

import (
	"fmt"
	"net/http"
	"strings"
)

// Credentials is how an account proves who it is: [NTLM], [Basic], [Bearer] or
// [None].
type Credentials interface {
	validate() error
	// onPremises reports whether the credentials belong to an installation of
	// one's own and have no business at Office 365.
	onPremises() bool
	// encrypted reports whether they may only travel over TLS.
	encrypted() bool
	// send sends req, whose body it closes, with the credentials. The slot is
	// the caller's alone.
	send(p *Pool, s *slot, req *http.Request) (*http.Response, error)
}

// NTLM is NTLM version 2, offered by Exchange as "NTLM" or "Negotiate". With
// TLS the answer is bound to the server's certificate (Extended Protection).
type NTLM struct {
	User     string // DOMAIN\user, user@domain.example or user
	Password Secret
}

// Basic sends the password with every request, without being asked, and only
// over https.
type Basic struct {
	User     string
	Password Secret
}

// Bearer sends a token of an application with every request, only over https.
type Bearer struct {
	Tokens *TokenSource // not closed by the pool
}

// None sends requests as they are.
type None struct{}

func (c NTLM) validate() error {
	if err := needUser(c.User, c.Password); err != nil {
		return err
	}
	if i := strings.IndexByte(c.User, '\\'); i == 0 || i == len(c.User)-1 {
		return wrongField("NTLM.User", `want DOMAIN\user, user@domain or user`)
	}
	return nil
}

func (c Basic) validate() error {
	if strings.Contains(c.User, ":") { // RFC 7617, section 2
		return wrongField("Basic.User", "must not contain a colon")
	}
	return needUser(c.User, c.Password)
}

func (c Bearer) validate() error {
	if c.Tokens == nil {
		return wrongField("Bearer.Tokens", "missing; make one with NewTokenSource")
	}
	return nil
}

func (None) validate() error { return nil }

func needUser(user string, password Secret) error {
	switch {
	case user == "":
		return wrongField("User", "missing")
	case password == "":
		return wrongField("Password", "missing")
	}
	return nil
}

func (NTLM) onPremises() bool   { return true }
func (Basic) onPremises() bool  { return true }
func (Bearer) onPremises() bool { return false }
func (None) onPremises() bool   { return false }

func (NTLM) encrypted() bool   { return false }
func (Basic) encrypted() bool  { return true }
func (Bearer) encrypted() bool { return true }
func (None) encrypted() bool   { return false }

// wrongField says what is wrong with a field of the options.
func wrongField(field, fix string) error { return fmt.Errorf("%s: %s", field, fix) }
