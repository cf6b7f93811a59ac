package wns

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Values of X-WNS-NotificationStatus and X-WNS-Status (WNS "Push notification
// service request and response headers"; the last one is from the field).
const (
	statusReceived         = "received"
	statusDropped          = "dropped"
	statusChannelThrottled = "channelthrottled"
	statusAppThrottled     = "appthrottled"
)

// Reasons in a Response: one word for what happened.
const (
	ReasonReceived         = "received"
	ReasonDropped          = "dropped"           // by WNS, or notifications are switched off on the device
	ReasonChannelThrottled = "channel-throttled" // too many to this channel
	ReasonThrottled        = "app-throttled"     // too many from this app
	ReasonBadRequest       = "bad-request"       // a header is wrong or contradicts another
	ReasonUnauthorized     = "unauthorized"      // the access token is not accepted
	ReasonForbidden        = "forbidden"         // not this app's channel, or the app is not allowed
	ReasonChannelUnknown   = "channel-unknown"
	ReasonChannelExpired   = "channel-expired"
	ReasonBlocked          = "domain-blocked" // the sender is blocked for abuse
	ReasonUnreachable      = "device-unreachable"
	ReasonTooLarge         = "body-too-large"
	ReasonWNSFailed        = "wns-failed" // an error inside WNS, or WNS is unavailable
	ReasonUnexpected       = "unexpected-answer"
	ReasonInvalidRequest   = "invalid-request" // refused before sending; Err names the field
	ReasonNoToken          = "no-access-token" // the token service gives none; nothing was sent
	ReasonNoAnswer         = "no-answer"       // the outcome is unknown
	ReasonConnection       = "connection-lost" // could not connect, or the outcome is unknown
	ReasonCancelled        = "cancelled"       // the caller's context ended
	ReasonClosed           = "closed"          // the client is closed; nothing was sent
)

// watched says which guard looks at an answer.
type watched uint8

const (
	unwatched watched = iota
	forbidden
	gone
	failing
	watchedEnd
)

// rule is the judgement on one kind of answer.
type rule struct {
	status       int
	notification string // "" means any
	described    string // part of X-WNS-Error-Description in lower case; "" means any
	action       Action
	watched      watched
	wait         time.Duration // before a repeat, unless the answer names one
	reason       string
	meaning      string // what it means and how to repair it
}

// rules is read from the top; the first row that fits an answer judges it.
// Source: WNS "Push notification service request and response headers",
// response codes; where that is silent, the behaviour of the service.
var rules = []rule{
	{status: 200, notification: statusReceived, action: Delivered, reason: ReasonReceived, meaning: "WNS took the notification"},
	{status: 200, notification: statusDropped, action: Drop, reason: ReasonDropped, meaning: "WNS dropped it; usually the user has switched the app's notifications off"},
	{status: 200, notification: statusChannelThrottled, action: Retry, wait: channelWait, reason: ReasonChannelThrottled, meaning: "too many notifications to this channel"},
	{status: 200, notification: statusAppThrottled, action: Pause, wait: throttleWait, reason: ReasonThrottled, meaning: "too many notifications from this app"},
	{status: 400, action: Drop, reason: ReasonBadRequest, meaning: "a header is wrong or contradicts another"},
	{status: 401, action: Pause, wait: probeWait, reason: ReasonUnauthorized, meaning: "a fresh access token is not accepted; check the app's identity and secret"},
	{status: 403, described: "allowed receiving apps list", action: Pause, wait: probeWait, reason: ReasonForbidden, meaning: "the app may not use WNS; have its package family name mapped to the Entra app"},
	{status: 403, action: Retry, watched: forbidden, wait: forbiddenWait, reason: ReasonForbidden, meaning: "the channel belongs to another app, or this app is not allowed"},
	{status: 404, action: Forget, watched: gone, reason: ReasonChannelUnknown, meaning: "WNS does not know the channel"},
	{status: 405, action: Drop, reason: ReasonBadRequest, meaning: "the method was not POST"},
	{status: 406, action: Pause, wait: throttleWait, reason: ReasonThrottled, meaning: "too many notifications from this app"},
	{status: 410, described: "block", action: Pause, wait: throttleWait, reason: ReasonBlocked, meaning: "WNS blocks this sender; ask Microsoft's support"},
	{status: 410, action: Forget, watched: gone, reason: ReasonChannelExpired, meaning: "the channel has expired"},
	{status: 412, action: Retry, wait: unreachableWait, reason: ReasonUnreachable, meaning: "the device cannot be reached"},
	{status: 413, action: Drop, reason: ReasonTooLarge, meaning: "the body exceeds 5,000 bytes"},
	{status: 429, action: Pause, wait: throttleWait, reason: ReasonThrottled, meaning: "too many notifications from this app"},
	{status: 500, action: Retry, watched: failing, reason: ReasonWNSFailed, meaning: "an error inside WNS"},
	{status: 503, action: Retry, watched: failing, reason: ReasonWNSFailed, meaning: "WNS is unavailable"},
}

// judge finds the rule for an answer. A status that has no row is judged by its
// class.
func judge(status int, notification, description string) rule {
	description = strings.ToLower(description)
	if status == http.StatusOK && notification == "" {
		notification = statusReceived
	}
	for _, r := range rules {
		if r.status == status && (r.notification == "" || r.notification == notification) && strings.Contains(description, r.described) {
			return r
		}
	}
	r := rule{status: status, reason: ReasonUnexpected, meaning: "not an answer that WNS documents; is a proxy between here and WNS?"}
	switch {
	case status >= 500:
		r.action, r.watched, r.reason = Retry, failing, ReasonWNSFailed
	case status >= 300 && status < 400, status == http.StatusProxyAuthRequired:
		// A redirect would take the access token along.
		r.action, r.wait = Pause, probeWait
	case status < 300, status == http.StatusRequestTimeout, status == http.StatusTooEarly:
		r.action = Retry
	default:
		r.action = Drop
	}
	return r
}

// answer is what WNS said about one notification.
type answer struct {
	status       int
	notification string
	device       string
	messageID    string
	debugTrace   string
	description  string
	cv           string
	retryAfter   time.Duration
}

// readAnswer reads the headers; WNS's answers have no body. The notification
// status comes under two names, as the documentation has used both. Should
// they differ, the one that is not "received" counts.
func readAnswer(resp *http.Response, now time.Time) answer {
	get := func(name string) string { return printable(resp.Header.Get(name)) }
	a := answer{
		status:       resp.StatusCode,
		notification: strings.ToLower(get("X-WNS-NotificationStatus")),
		device:       strings.ToLower(get("X-WNS-DeviceConnectionStatus")),
		messageID:    get("X-WNS-Msg-ID"),
		debugTrace:   get("X-WNS-Debug-Trace"),
		description:  get("X-WNS-Error-Description"),
		cv:           get("MS-CV"),
		retryAfter:   parseRetryAfter(resp.Header.Get("Retry-After"), now),
	}
	if other := strings.ToLower(get("X-WNS-Status")); a.notification == "" || a.notification == statusReceived && other != "" {
		a.notification = other
	}
	return a
}

// printable cuts a header value to what may be logged: visible ASCII and
// spaces, at most textMax.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return -1
		}
		return r
	}, strings.TrimSpace(s))
	return s[:min(len(s), textMax)]
}

// parseRetryAfter reads Retry-After, in seconds or as a date (RFC 9110
// "Retry-After"). Nonsense and the past are zero.
func parseRetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	var wait time.Duration
	if s, err := strconv.ParseInt(value, 10, 64); err == nil {
		if s > math.MaxInt64/int64(time.Second) {
			s = int64(retryAfterMax / time.Second)
		}
		wait = time.Duration(max(s, 0)) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), retryAfterMax)
}
