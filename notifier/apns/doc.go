// Package apns sends pushes to the Apple Push Notification service over
// HTTP/2.
//
// A [Client] speaks to one host (production or sandbox) with one identity: a
// provider token signed by a .p8 key ([LoadKey]) or a .p12 certificate
// ([LoadCertificate]). [Client.Push] takes a [Request] and returns a
// [Response], never a bare error: its [Action] says what to do next, and the
// table in reason.go is the only place where Apple's reasons are judged.
//
// # Lanes
//
// Connections are lanes. A lane has at most one connection, keeps at most one
// dial under way, and lets in as many pushes as the peer's
// SETTINGS_MAX_CONCURRENT_STREAMS and Options.StreamsMax allow. Apple starts a
// connection with a single stream until it has accepted the provider token,
// and narrows it again after rejections; waiting therefore happens in the
// lane's queue, first in first out, where it can be cancelled, and never in
// the transport. The first push after a connect goes alone.
//
// # What is promised
//
//   - No more connections than lanes, save for replaced ones that finish what
//     they were sent.
//   - A push whose stream was refused or lies above the last stream of a GOAWAY
//     is sent again; Apple has not seen it. A push without an answer (lost
//     connection, deadline) is not: its outcome is unknown and the Response
//     says Retry. Repeat it with the same ID and CollapseID.
//   - A connection is replaced after three unanswered deadlines in a row, after
//     a GOAWAY, and when Apple finds fault with the provider token.
//   - A connection never sees a second provider token within 20 minutes.
//   - While no lane can connect, Push answers Pause at once and says when the
//     next dial is due; dials back off from 1 s to 60 s with jitter.
//   - Device tokens, payloads and provider tokens appear in no error and no
//     log line.
package apns
