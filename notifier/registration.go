package notifier

import (
	"fmt"
	"time"
)

// DeviceIDLenMax bounds a device ID, in bytes.
const DeviceIDLenMax = 128

// DeviceID names one device of one user, as the enrolment authority assigned
// it: letters, digits, and -._ only, compared byte for byte.
type DeviceID string

// ParseDeviceID checks the form of a device ID.
func ParseDeviceID(s string) (DeviceID, error) {
	if s == "" {
		return "", fmt.Errorf("device id: empty")
	}
	if len(s) > DeviceIDLenMax {
		return "", fmt.Errorf("device id: %d bytes, at most %d", len(s), DeviceIDLenMax)
	}
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.', r == '_':
		default:
			return "", fmt.Errorf("device id: character %q is not allowed (letters, digits and -._ are)", r)
		}
	}
	return DeviceID(s), nil
}

// Provider is the push service that reaches a device.
type Provider string

// The two push services.
const (
	APNs Provider = "apns" // Apple Push Notification service: iPhones
	WNS  Provider = "wns"  // Windows Push Notification Services
)

// Environment is the APNs environment a device token belongs to. A token is
// known in one environment only.
type Environment string

// The two APNs environments.
const (
	Production  Environment = "production"
	Development Environment = "development" // Apple's "sandbox"
)

// APNsAddress is where Apple reaches an app on a device.
type APNsAddress struct {
	Token       DeviceToken `json:"token"`
	Topic       string      `json:"topic"` // bundle ID of the app
	Environment Environment `json:"environment"`
}

// WNSAddress is where Microsoft reaches an app on a device.
type WNSAddress struct {
	Channel ChannelURI `json:"channel"`
	App     string     `json:"app"`   // name of the WNS app in the configuration; empty: the only one
	Badge   bool       `json:"badge"` // the app's channel takes badge pushes (apps with Partner Center identity)
}

// DeviceToken is an APNs device token in lower-case hex. Its String is
// shortened: a token lets its holder's provider reach the device.
type DeviceToken string

// String shortens the token for logs.
func (t DeviceToken) String() string { return shorten(string(t)) }

// ChannelURI is a WNS channel URI, kept byte for byte. Its String is
// shortened: it is a capability to reach the device.
type ChannelURI string

// String shortens the URI for logs.
func (u ChannelURI) String() string { return shorten(string(u)) }

// Registration says that a device wants to hear of new mail in a mailbox, and
// how it is reached. Exactly one of APNs and WNS is set, as Provider says.
type Registration struct {
	Device   DeviceID     `json:"device"`
	Mailbox  Mailbox      `json:"mailbox"`
	Provider Provider     `json:"provider"`
	APNs     *APNsAddress `json:"apns,omitempty"`
	WNS      *WNSAddress  `json:"wns,omitempty"`
	Locale   string       `json:"locale"` // BCP 47 tag of the language the user reads

	// Created is when the device was first registered for this mailbox; mail
	// received before it is not announced. Confirmed is when the app last
	// confirmed its push address; a provider's "gone" that is older than this
	// does not count. Both in UTC.
	Created   time.Time `json:"created"`
	Confirmed time.Time `json:"confirmed"`
}

// Address is the push address in its shortened form, for logs.
func (r Registration) Address() string {
	switch {
	case r.APNs != nil:
		return r.APNs.Token.String()
	case r.WNS != nil:
		return r.WNS.Channel.String()
	}
	return ""
}

// shorten keeps enough of a capability to tell two apart and too little to use
// it: the last six bytes.
func shorten(s string) string {
	const keep = 6
	if len(s) <= 2*keep {
		return "…"
	}
	return "…" + s[len(s)-keep:]
}
