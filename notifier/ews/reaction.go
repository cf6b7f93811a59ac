package ews

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Reaction is what to do after an error. The vocabulary is closed.
type Reaction uint8

const (
	// BackOff: wait, as long as the error says (ResponseError.BackOff,
	// HTTPError.RetryAfter) or else exponentially from 1 s to 5 min with jitter,
	// and do the same again.
	BackOff Reaction = iota
	// GiveUp: the request is wrong or refused for good; note it and do not
	// repeat it.
	GiveUp
	// Resubscribe: the subscription is lost; make a new one in the same group and
	// compare the mailbox.
	Resubscribe
	// Rediscover: the mailbox or the service is somewhere else; back off, ask
	// Autodiscover, subscribe there and compare the mailbox.
	Rediscover
	// Permanent: only somebody's action can help; raise an alert and try again
	// slowly, after 15 min growing to hours.
	Permanent
	// Nothing: go on as if it had not happened.
	Nothing
	// CatchUp: something was missed; compare the mailbox and keep everything
	// else.
	CatchUp
	// LowerVersion: the server does not take this schema; use an older one.
	LowerVersion
)

// String is the reaction in lower case, for logs.
func (r Reaction) String() string {
	switch r {
	case BackOff:
		return "back-off"
	case GiveUp:
		return "give-up"
	case Resubscribe:
		return "resubscribe"
	case Rediscover:
		return "rediscover"
	case Permanent:
		return "permanent"
	case Nothing:
		return "nothing"
	case CatchUp:
		return "catch-up"
	case LowerVersion:
		return "lower-version"
	}
	return fmt.Sprintf("reaction(%d)", uint8(r))
}

// React says what to do after err, an error of this package or of a transport.
// What it does not know is answered by BackOff, which is always safe. A nil
// error asks for Nothing.
func React(err error) Reaction { return react(err, func(c code) Reaction { return c.first }) }

// Escalate says what to do when React's answer has been tried and err comes
// again: at the second time, or, after BackOff, when about 5 minutes of waiting
// have not helped.
func Escalate(err error) Reaction { return react(err, func(c code) Reaction { return c.then }) }

func react(err error, choose func(code) Reaction) Reaction {
	if err == nil {
		return Nothing
	}
	// Being cancelled says nothing about the server, whatever else err tells.
	if errors.Is(err, context.Canceled) {
		return BackOff
	}
	if e, ok := errors.AsType[*ResponseError](err); ok && e != nil {
		c, known := codes[e.Code]
		if !known {
			c = unknownCode
		}
		// A move in progress also shows as an invalid subscription, with the
		// reason in the text only.
		if e.Code == codeInvalidSubscription && strings.Contains(e.Text, "MailboxMoveStarted") {
			c.first = Rediscover
		}
		return choose(c)
	}
	if e, ok := errors.AsType[*HTTPError](err); ok && e != nil {
		return choose(e.code())
	}
	return BackOff
}

// code is the reaction to a status, in the terms of a response code.
func (e *HTTPError) code() code {
	switch e.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		// IIS leads to /ews/genericerrorpage.htm when it could not serve.
		if strings.Contains(strings.ToLower(e.Location), "genericerrorpage") {
			return code{first: BackOff, then: Rediscover}
		}
		return code{first: Rediscover, then: Permanent}
	case http.StatusForbidden: // EWS is disabled for the user, or the User-Agent blocked
		return code{first: Permanent, then: Permanent}
	case http.StatusNotFound: // no EWS at this address
		return code{first: Rediscover, then: Permanent}
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		return code{first: GiveUp, then: GiveUp}
	case statusAccountLocked:
		return code{first: Permanent, then: Permanent}
	case http.StatusUnauthorized:
		// Also a form of throttling and of a lost connection. Whether the
		// credentials are wrong is for the authenticating transport to verify.
		return code{first: BackOff, then: Permanent}
	}
	// 200 with a page, 500 with a page, 502, 503, 504, and whatever else.
	return code{first: BackOff, then: Rediscover}
}

// statusAccountLocked is Exchange's own status (EWS Managed API,
// ExchangeServiceBase: AccountIsLocked).
const statusAccountLocked = 456
