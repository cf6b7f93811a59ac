package compose

import "time"

// Limits of a payload.
const (
	// APNsPayloadMax bounds the JSON in bytes (Apple "Generating a remote
	// notification": 4 KB for everything but VoIP).
	APNsPayloadMax = 4096
	// WNSPayloadMax bounds the XML in bytes (WNS "Push notification service
	// request and response headers": 5,000 bytes).
	WNSPayloadMax = 5000
	// CollapseIDMax bounds apns-collapse-id in bytes (Apple "Sending notification
	// requests to APNs").
	CollapseIDMax = 64
	// TagMax bounds X-WNS-Tag in alphanumeric characters (WNS "Push notification
	// service request and response headers").
	TagMax = 16
)

// Limits of a call and of a policy.
const (
	// EventsMax bounds the events of one Handle, and with them what it holds in
	// memory.
	EventsMax = 1000
	// RulesMax bounds a policy; every decision may look at every rule.
	RulesMax = 10_000
	// ExpiryDefault is how long a push is worth sending when the rule names
	// nothing: it spans a night, and a provider's outage of half a day.
	ExpiryDefault = 12 * time.Hour
	// ExpiryMin keeps a push alive across the first back-offs.
	ExpiryMin = time.Minute
	// ExpiryMax is a week; both providers keep a notification up to 30 days.
	ExpiryMax = 7 * 24 * time.Hour
	// RegistrationTolerance is how long before its registration a mail may have
	// been received and still be announced: Exchange tells whole seconds, rounded
	// down, and its clock is not ours.
	RegistrationTolerance = 2 * time.Second
	// WithdrawMax bounds the notifications that one update withdraws: their IDs fit
	// into the payload with room to spare.
	WithdrawMax = 50
	// updateLife is how long an update is worth sending: a later one corrects it.
	updateLife = time.Hour
	// soundLenMax bounds the name of a sound file in bytes.
	soundLenMax = 64
)
