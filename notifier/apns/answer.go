package apns

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// reasonLenMax bounds a reason that is passed on; Apple's longest has 27
// characters.
const reasonLenMax = 64

// answer is what Apple said about one push.
type answer struct {
	status     int
	id         string
	reason     string
	timestamp  time.Time // 410: when the token was found invalid, to the millisecond
	retryAfter time.Duration
	torn       bool // the connection ended inside the body
}

// parseReason reads the JSON object of a refusal, which is also the debug data
// of a GOAWAY. A body that is not such an object has no reason.
func parseReason(body []byte) (reason string, timestamp time.Time) {
	var fields struct {
		Reason    json.RawMessage `json:"reason"`
		Timestamp json.RawMessage `json:"timestamp"`
	}
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if json.Unmarshal(body, &fields) != nil {
		return "", time.Time{}
	}
	if json.Unmarshal(fields.Reason, &reason) != nil || !plain(reason) {
		reason = ""
	}
	return reason, parseMillis(string(fields.Timestamp))
}

// plain says whether a reason is a word that may be logged and stored.
func plain(reason string) bool {
	if len(reason) > reasonLenMax {
		return false
	}
	for _, r := range reason {
		if (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return false
		}
	}
	return true
}

// parseMillis reads milliseconds since 1970 (Apple "Handling notification
// responses from APNs", timestamp). Anything else is the zero time.
func parseMillis(s string) time.Time {
	ms, err := strconv.ParseInt(strings.Trim(s, `"`), 10, 64)
	// Past the year 9999 a time cannot be written as JSON.
	const msMax = 253402300799999
	if err != nil || ms <= 0 || ms > msMax {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
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
