//lint:file-ignore SA1019 apns2 speaks through this HTTP/2 transport, and lanes need its connection pool.

package apns

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/net/http2"
)

// Response is what became of a push.
type Response struct {
	Status     int           // HTTP status; 0 without an answer
	Reason     string        // Apple's word, or one of this package's Reason constants; "" when accepted
	ID         string        // apns-id, as answered or else as sent
	Timestamp  time.Time     // 410: when Apple learnt that the token is dead (UTC, milliseconds)
	Action     Action        // what to do next
	RetryAfter time.Duration // least wait before a Retry, or before Pause ends; 0: none named
	Err        error         // nil when delivered; a *RejectedError when Apple refused
}

// RejectedError is a refusal of Apple's, with what it means.
type RejectedError struct {
	Status    int
	Reason    string // "" when the answer had none
	Meaning   string // what it means and how to repair it
	Reference string // title of the document that says so
}

func (e *RejectedError) Error() string {
	reason := e.Reason
	if reason == "" {
		reason = "no reason"
	}
	return fmt.Sprintf("apns: %d %s: %s", e.Status, reason, e.Meaning)
}

// identityRefused says whether an error is a GOAWAY whose reason finds fault
// with our certificate or token. Trying again at once would meet the same.
func identityRefused(err error) bool {
	var g http2.GoAwayError
	if !errors.As(err, &g) {
		return false
	}
	reason, _ := parseReason([]byte(g.DebugData))
	r, ok := rules[reason]
	return ok && r.action == Pause
}
