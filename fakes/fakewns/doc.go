// Package fakewns is the Windows push service of the simulated world: the
// token service of packaged apps and the channel service, with the devices
// behind it.
//
// An app fetches a token with its package SID and secret (TokenHandler, host
// login.live.com). With the token it posts notifications to channel URIs
// (ChannelHandler, hosts under notify.windows.com) that NewChannel made. What
// is accepted reaches a device, or waits for it while it is away; Device tells
// what it shows. Every push and every token request is in the journal:
//
//   - server "wns", kind "push": Device is the channel URI as asked for, Reason
//     the notification status or else the error description, Detail has type,
//     tag, group, ttl, msg_id and effect, Body is the payload as a JSON string.
//   - server "wns-token", kind "token": Account is the client_id.
//
// Effects on the device are shown, replaced, stored, stored-replaced, silent
// (raw), not-supported (a badge or tile of an App SDK channel), dropped and
// malformed. A payload that Windows cannot read is answered "received" like
// any other, as the real service does, and is malformed in the journal.
//
// Rules come from Microsoft "Push notification service request and response
// headers" and "Windows Push Notification Services (WNS) overview", answers'
// forms from published recordings. Real servers write their header names in
// upper case, and so does this one. The order of checks is not known; it is
// faults, throttle, method, length, token, channel, app, expiry, headers,
// size here, and senders must not rely on it.
//
// # Faults
//
// Asked with scope server "wns" and the channel URI as device, in this order;
// the first that strikes is the only one:
//
//	wns.reset             the connection is cut, nothing is looked at
//	wns.406, wns.429      app throttled; args retry-after (15m)
//	wns.500               no more than the status
//	wns.503               args retry-after (none)
//	wns.slow              the answer takes longer; args delay (5s)
//	wns.lost-answer       accepted, then the connection is cut
//	wns.dropped           a good push is answered 200 dropped, and is
//	wns.channelthrottled  a good push is answered 200 channelthrottled
//
// Asked with scope server "wns-token" and the client_id as account:
//
//	wns.token-503   args retry-after (none)
//	wns.token-html  200 with a page that is no JSON
//	wns.token-slow  args delay (5s)
//
// The profile real answers after 5 to 60 ms; hostile also slows, refuses, cuts
// and loses answers unasked, by the seed.
//
// # Not modelled
//
// By number of the conformance checklist: 55 TLS and ALPN are the listener's,
// 65 tokens of Entra come from package fakeentra through Options.Verify. Of the
// controls: dead peers and failing handshakes are the network's, a wrong
// certificate the listener's. Tiles are accepted and not shown. Notification
// Center's cap of twenty toasts and the life of three days are not kept, since
// neither is confirmed. The daily and monthly quotas behind 429 are unknown.
package fakewns
