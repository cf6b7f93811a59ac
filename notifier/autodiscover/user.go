package autodiscover

import (
	"errors"
	"fmt"
	"slices"
)

// user is one address on its way to a result. One goroutine at a time works on it.
type user struct {
	result    *Result
	address   address         // to ask about now
	via       string          // URL to ask, where a server named one; "": by the domain
	seen      map[string]bool // addresses and URLs it was sent to
	redirects int
	busy      int // busy answers
	tries     int // answers that were errors which may pass
}

// fail ends the user's way.
func (u *user) fail(err error) { u.result.Err = err }

// note adds a rung to the user's ladder.
func (u *user) note(steps ...Step) { u.result.Ladder = append(u.result.Ladder, steps...) }

// visit counts a redirect to an address or URL.
func (u *user) visit(key string, count int) error {
	if u.redirects += count; u.redirects > RedirectsMax {
		return ErrRedirectLimit
	}
	if u.seen[key] {
		return ErrRedirectLoop
	}
	if u.seen == nil {
		u.seen = map[string]bool{}
	}
	u.seen[key] = true
	return nil
}

// take applies the answer about a user and reports whether to ask again.
// The second result says that the server is busy.
func (c *Client) take(u *user, r userReply, ep *endpoint) (again, busy bool) {
	switch r.code {
	case "NoError", "":
		return c.takeSettings(u, r, ep), false
	case "RedirectAddress":
		return c.redirectAddress(u, r.target), false
	case "RedirectUrl":
		return c.redirectURL(u, r.target, ep), false
	case "InvalidUser", "InvalidDomain":
		u.fail(fmt.Errorf("%w (%s)", ErrNoSuchMailbox, r.code))
		return false, false
	case "ServerBusy":
		if u.busy++; u.busy < busyTriesMax {
			return true, true
		}
		u.fail(&BusyError{RetryAfter: busyPauseMax})
		return false, true
	case "InvalidSetting":
		// Which one is not said. Exchange 2010 does not know this one ("GroupingInformation").
		ep.drop("GroupingInformation")
		return u.retry(&ServerError{Code: r.code, Status: 200, Text: r.text}), false
	case "InternalServerError":
		return u.retry(&ServerError{Code: r.code, Status: 200, Text: r.text}), false
	}
	u.fail(&ServerError{Code: r.code, Status: 200, Text: r.text})
	return false, false
}

// retry reports whether the user may be asked about once more; if not, err is the
// result.
func (u *user) retry(err error) bool {
	if u.tries++; u.tries < userTriesMax {
		return true
	}
	u.fail(err)
	return false
}

func (c *Client) takeSettings(u *user, r userReply, ep *endpoint) (again bool) {
	for name, code := range r.errors {
		switch code {
		case "InvalidSetting": // this server does not know it
			ep.drop(name)
		case "SettingIsNotAvailable", "NoError": // this user has none
		default:
			// Grouping and URLs decide what happens next; a guess would be worse than a wait.
			if slices.Contains(settingNames()[:3], name) {
				return u.retry(&ServerError{Code: code, Status: 200, Text: "setting " + name})
			}
		}
	}
	s := newSettings(u.address.String(), r.values)
	if s.EWSURL == "" && s.InternalEWSURL == "" {
		u.fail(ErrNoEWS)
		return false
	}
	u.result.Settings = s
	return false
}

func (c *Client) redirectAddress(u *user, target string) (again bool) {
	to, err := parseAddress(target)
	if err != nil {
		u.fail(&RedirectRefusedError{Domain: u.address.domain, Host: "an unreadable address", Reason: "RedirectAddress without a usable target"})
		return false
	}
	if err = c.rules.permitAddress(u.address, to); err == nil {
		err = u.visit(to.key(), 1)
	}
	if err != nil {
		c.refused(u, "address "+to.String(), err)
		return false
	}
	u.note(Step{Candidate: u.address.String(), Outcome: "redirect to address " + to.String()})
	u.address, u.via = to, ""
	return true
}

func (c *Client) redirectURL(u *user, target string, ep *endpoint) (again bool) {
	to, err := c.rules.permit(u.address.domain, ep.url, target)
	if err == nil {
		if ep.pox {
			to = asPOX(to)
		} else {
			to = asSOAP(to)
		}
		err = u.visit(placeKey(to), 1)
	}
	if err != nil {
		c.refused(u, "URL", err)
		return false
	}
	u.note(Step{Candidate: u.address.String(), Outcome: "redirect to " + to})
	u.via = to
	return true
}

// refused ends the way of a user who was sent where nobody may go.
func (c *Client) refused(u *user, what string, err error) {
	u.note(Step{Candidate: u.address.String(), Outcome: "redirect to " + what + ": " + err.Error()})
	if refusal := (*RedirectRefusedError)(nil); errors.As(err, &refusal) {
		c.options.Logger.Warn("redirect refused", "domain", refusal.Domain, "target", refusal.Host, "reason", refusal.Reason)
	}
	u.fail(err)
}
