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
//	apns.deaf           the connection reads nothing any more, a dead peer
//	apns.stall          no answer; Args for: how long (for ever)
//	apns.goaway         GOAWAY; Args reason (Shutdown), code (NO_ERROR), last=0: tells 0 as the last stream
//	apns.refuse-stream  RST_STREAM; Args code (REFUSED_STREAM), by name or number
//	apns.503            503 ServiceUnavailable; Args retry-after
//	apns.429            429 TooManyRequests; Args retry-after
//	apns.answer         any error; Args reason (InternalServerError), status (the reason's), retry-after
//	apns.html           an error with a proxy's page; Args status (502)
//	apns.body           an error whose body is not Apple's; Args form (html, empty, truncated, bom, split), reason, status
//	apns.redirect       307 to another path of the host
//	apns.late410        410 Unregistered; Args ago (1h): the moment it names
//	apns.slow           the answer waits; Args delay (5s)
//	apns.lost-answer    accepted, then the connection is cut
//	apns.half-answer    decided, then the connection ends in the middle of the answer's frame
//
// Faults in place of an answer go before authentication. Asked with
// Scope{Server: "apns"} for each connection:
//
//	apns.refuse-connection  it is reset before a word
//	apns.handshake          Args how: certificate (of an authority nobody knows), slow (delay, 5s), else it is closed
//
// Profile real answers after 10 to 100 ms and takes the limit back to one
// stream after a rejection; hostile also draws some of the faults by itself.
// The same things, and more, can be asked for by method: [Server.Refuse],
// [Server.Outage], [Server.RefuseConnections], [Server.Stall],
// [Server.StopReading], [Server.CutConnections], [Server.DropAfter],
// [Server.GoAway], [Server.End], [Server.ResetNext], [Server.SetMaxStreams],
// [Server.SetLatency], [Server.SetKeys].
//
// # Not modelled
//
// By number of the conformance checklist: 13 a second port and the other
// environment are further servers; 25 and the order of checks past
// authentication (39 to 47), the reasons of 27 and 29, and the numbers behind
// 34, 37 and 54 are assumptions, since nobody outside Apple knows; 53 delivery
// is in order. Of the controls: wrong answers for one connection only, and
// bytes that end in the middle of a frame. Besides: de-duplication by apns-id,
// multi-topic certificates, broadcast channels, HTTP/2 priorities.
package fakeapns
