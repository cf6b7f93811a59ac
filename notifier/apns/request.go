package apns

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Push types that the package knows rules for (Apple "Sending notification
// requests to APNs").
const (
	pushTypeAlert      = "alert"
	pushTypeBackground = "background"
	pushTypeVoIP       = "voip"
)

// Request is one push. It is not changed and may be pushed again.
type Request struct {
	Token      string    // device token in hex
	Topic      string    // bundle ID; may be empty only with a certificate
	Payload    []byte    // JSON object, sent byte for byte; at most PayloadMax bytes
	ID         string    // apns-id: lower-case UUID; empty lets Apple make one
	CollapseID string    // at most CollapseIDMax bytes; pushes with the same value merge on the device
	Expiration time.Time // Apple keeps trying until then; zero: Apple's policy; 1970-01-01 or earlier: one attempt
	Priority   int       // 10, 5 or 1; 0: Apple's default, 10
	PushType   string    // "" means "alert"
}

// invalid is a request that is not worth sending: the reason Apple would give,
// and what to repair.
type invalid struct{ reason, text string }

func (e *invalid) Error() string { return "apns: request: " + e.text }

// check refuses what Apple would refuse, in the cases where the cure is the
// caller's. It never quotes the device token or the payload.
func (r *Request) check(topicNeeded bool) *invalid {
	switch {
	case r.Token == "":
		return &invalid{reasonMissingDeviceToken, "Token: empty"}
	case len(r.Token) > TokenDigitsMax || len(r.Token)%2 != 0 || !isHex(r.Token):
		return &invalid{reasonBadDeviceToken, fmt.Sprintf("Token: want an even number of hex digits, at most %d", TokenDigitsMax)}
	case r.Topic == "" && topicNeeded:
		return &invalid{reasonMissingTopic, "Topic: empty; set it to the app's bundle ID"}
	case len(r.Topic) > TopicMax || !isHeaderWord(r.Topic):
		return &invalid{reasonBadTopic, "Topic: want a bundle ID"}
	case r.ID != "" && !isUUID(r.ID):
		return &invalid{reasonBadMessageID, "ID: want a lower-case UUID, 8-4-4-4-12 hex digits"}
	case len(r.CollapseID) > CollapseIDMax:
		return &invalid{reasonBadCollapseID, fmt.Sprintf("CollapseID: %d bytes, at most %d", len(r.CollapseID), CollapseIDMax)}
	case !isHeaderText(r.CollapseID):
		return &invalid{reasonBadCollapseID, "CollapseID: a control character cannot be sent"}
	case !isHeaderWord(r.PushType):
		return &invalid{reasonInvalidPushType, "PushType: want one of Apple's, such as alert"}
	case r.Priority != 0 && r.Priority != 1 && r.Priority != 5 && r.Priority != 10:
		return &invalid{reasonBadPriority, fmt.Sprintf("Priority: %d, want 10, 5 or 1", r.Priority)}
	case r.PushType == pushTypeBackground && r.Priority != 1 && r.Priority != 5:
		return &invalid{reasonBadPriority, "Priority: a background push needs 5"}
	case len(r.Payload) == 0:
		return &invalid{reasonPayloadEmpty, "Payload: empty"}
	case len(r.Payload) > r.payloadMax():
		return &invalid{reasonPayloadTooLarge, fmt.Sprintf("Payload: %d bytes, at most %d", len(r.Payload), r.payloadMax())}
	case !json.Valid(r.Payload) || bytes.TrimLeft(r.Payload, " \t\r\n")[0] != '{':
		return &invalid{ReasonInvalidRequest, "Payload: want a JSON object"}
	}
	return nil
}

func (r *Request) payloadMax() int {
	if r.PushType == pushTypeVoIP {
		return PayloadVoIPMax
	}
	return PayloadMax
}

func isHex(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

// isUUID accepts the canonical form in lower case, which every source agrees
// upon.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return false
		}
	}
	return true
}

// isHeaderWord accepts visible ASCII.
func isHeaderWord(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// isHeaderText accepts what a header field may hold without being changed on
// the way.
func isHeaderText(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return s == "" || s[0] != ' ' && s[len(s)-1] != ' '
}
