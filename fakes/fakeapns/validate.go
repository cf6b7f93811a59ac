package fakeapns

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// rule judges one thing about a request. Called with Server.mu held.
type rule func(*Server, *conn, *request) verdict

// rules in the order in which they are asked. That authentication comes before
// everything but the method is known from answers of Apple's servers; the order
// of the rest is an assumption that no test of a sender may rest on.
var rules = []rule{
	methodRule, pathRule, authenticationRule, refusalRule, tokenPresentRule, duplicateRule, headerRule, topicRule,
	payloadRule, tokenFormRule, deviceRule, burstRule,
}

func methodRule(_ *Server, _ *conn, r *request) verdict {
	if r.method != "POST" {
		return refuse("MethodNotAllowed")
	}
	return verdict{}
}

func pathRule(_ *Server, _ *conn, r *request) verdict {
	if !strings.HasPrefix(r.path, devicePath) {
		return refuse("BadPath")
	}
	return verdict{}
}

func tokenPresentRule(_ *Server, _ *conn, r *request) verdict {
	if r.token() == "" {
		return refuse("MissingDeviceToken")
	}
	return verdict{}
}

func duplicateRule(_ *Server, _ *conn, r *request) verdict {
	if r.duplicate {
		return refuse("DuplicateHeaders")
	}
	return verdict{}
}

// suffixes of topics by push type (Apple "Sending notification requests to
// APNs"). A type that is not here is not one.
var suffixes = map[string]string{
	"alert": "", "background": "", "mdm": "", "voip": ".voip", "complication": ".complication",
	"fileprovider": ".pushkit.fileprovider", "location": ".location-query", "liveactivity": ".push-type.liveactivity",
	"pushtotalk": ".voip-ptt", "widgets": ".push-type.widgets", "controls": ".push-type.controls",
}

func headerRule(_ *Server, _ *conn, r *request) verdict {
	if id, ok := r.header["apns-id"]; ok && !isUUID(id) {
		return refuse("BadMessageId")
	}
	if e, ok := r.header["apns-expiration"]; ok {
		if _, err := strconv.ParseUint(e, 10, 62); err != nil {
			return refuse("BadExpirationDate")
		}
	}
	switch p, ok := r.header["apns-priority"]; {
	case !ok:
	case p != "1" && p != "5" && p != "10", p == "10" && r.pushType() == "background":
		return refuse("BadPriority")
	}
	if len(r.header["apns-collapse-id"]) > CollapseIDMax {
		return refuse("BadCollapseId")
	}
	if _, ok := suffixes[r.pushType()]; !ok {
		return refuse("InvalidPushType")
	}
	return verdict{}
}

// topicRule checks the topic against the push type and against what the
// provider may push to.
func topicRule(s *Server, c *conn, r *request) verdict {
	topic := r.header["apns-topic"]
	if topic == "" && c.certified {
		topic = c.certTopic
	}
	if topic == "" {
		return refuse("MissingTopic")
	}
	base, ok := strings.CutSuffix(topic, suffixes[r.pushType()])
	if !ok || base == "" {
		return refuse("BadTopic")
	}
	if c.certified {
		switch {
		case c.certTopic == "" || base == c.certTopic:
			return verdict{}
		case s.o.CertificateBadTopic:
			return refuse("BadTopic")
		}
		return refuse("TopicDisallowed")
	}
	if allowed := c.auth.key.Topics; len(allowed) > 0 && !slices.Contains(allowed, base) {
		return refuse("TopicDisallowed")
	}
	return verdict{}
}

func payloadRule(s *Server, _ *conn, r *request) verdict {
	most := PayloadMax
	if r.pushType() == "voip" {
		most = PayloadVoIPMax
	}
	switch {
	case r.bodySize == 0:
		return refuse("PayloadEmpty")
	case r.bodySize > most:
		return refuse("PayloadTooLarge")
	case s.o.RefuseComposition && !r.payload.object:
		return verdict{status: 400, reason: "PayloadEmpty"} // what Apple says is not known
	}
	return verdict{}
}

func tokenFormRule(s *Server, _ *conn, r *request) verdict {
	token := r.token()
	if _, err := hex.DecodeString(token); err != nil || len(token) > deviceTokenDigitsMax || (s.o.StrictToken && len(token) != deviceTokenStrict) {
		return refuse("BadDeviceToken")
	}
	return verdict{}
}

// deviceRule finds the device behind the token.
func deviceRule(s *Server, c *conn, r *request) verdict {
	key := strings.ToLower(r.token())
	topic := strings.TrimSuffix(r.header["apns-topic"], suffixes[r.pushType()])
	if topic == "" {
		topic = c.certTopic
	}
	d := s.devices[key]
	if d == nil {
		if !s.o.AnyDevice {
			return refuse("BadDeviceToken")
		}
		d = &device{topic: topic, online: true}
		s.devices[key] = d
	}
	if d.retired != "" && !r.arrived.Before(d.retiredAt) {
		v := refuse(d.retired)
		v.timestamp = d.retiredAt
		return v
	}
	if d.topic != topic {
		return refuse("DeviceTokenNotForTopic")
	}
	return verdict{}
}

// burstRule counts the pushes to one device.
func burstRule(s *Server, _ *conn, r *request) verdict {
	if s.o.BurstMax <= 0 {
		return verdict{}
	}
	d := s.devices[strings.ToLower(r.token())]
	since := r.arrived.Add(-s.o.BurstWindow)
	for len(d.recent) > 0 && d.recent[0].Before(since) {
		d.recent = d.recent[1:]
	}
	if len(d.recent) >= s.o.BurstMax {
		return refuse("TooManyRequests")
	}
	d.recent = append(d.recent, r.arrived)
	return verdict{}
}

// isUUID says whether s has the form 8-4-4-4-12 of hex digits, of either case.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, r := range []byte(s) {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if r != '-' {
				return false
			}
			continue
		}
		if !(r >= '0' && r <= '9' || r >= 'a' && r <= 'f' || r >= 'A' && r <= 'F') {
			return false
		}
	}
	return true
}
