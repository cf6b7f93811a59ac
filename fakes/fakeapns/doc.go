// Package fakeapns plays the Apple Push Notification service: HTTP/2 over TLS
// with Apple's SETTINGS, rules, reasons and habits, and the devices behind it.
//
// In come pushes; out go Apple's answers, journal entries (server "apns", kind
// "push": device token, status, reason, connection; Detail apns_id,
// collapse_id, topic, push_type, priority, expiration, stream, effect; Body the
// payload as received) and what each device shows ([Server.Device]). An entry
// has status 200 if and only if the push was accepted. It is built on frames
// (x/net/http2 Framer), because a ready-made HTTP/2 server cannot change its
// stream limit, put JSON into a GOAWAY or leave a stream unanswered. It needs
// nothing but a net.Listener and plain time, so it works inside
// testing/synctest.
//
// A connection may open one stream until a push on it was accepted, then
// [Options].StreamsMax; streams over the limit are refused from the client's
// acknowledgement on. Provider tokens are verified (ES256) and follow Apple's
// rules of age and change for each connection. A device that is away keeps the
// newest notification only.
//
// # Faults
//
// Asked with Scope{Server: "apns", Device: token}, the first that strikes
// counts:
//
//	apns.reset          the connection is reset at this request
//	apns.stall          no answer; Args for: how long (for ever)
//	apns.goaway         GOAWAY with a reason; Args reason (Shutdown)
//	apns.refuse-stream  RST_STREAM REFUSED_STREAM
//	apns.503            503 ServiceUnavailable; Args retry-after
//	apns.429            429 TooManyRequests; Args retry-after
//	apns.html           an error with a proxy's page; Args status (502)
//	apns.late410        410 Unregistered; Args ago (1h): the moment it names
//	apns.slow           the answer waits; Args delay (5s)
//	apns.lost-answer    accepted, then the connection is cut
//
// Profile hostile draws some of them by itself.
//
// # Not modelled
//
// Real figures for rates, idle times and bursts, which nobody outside Apple
// knows; de-duplication by apns-id; delivery out of order; multi-topic
// certificates; broadcast channels; HTTP/2 priorities, which are ignored.
package fakeapns
