// Package fakes is the simulated world as one value: an Exchange organisation
// with Exchange Web Services, Autodiscover and an SMTP entrance, the push
// services APNs and WNS with its token endpoint, the OAuth endpoint of Office
// 365, and a control API over all of them.
//
// Start brings it up on a network: loopback sockets by default, or memory, for
// worlds inside a testing/synctest bubble. The servers listen under their real
// names (api.push.apple.com, login.live.com, …); a client under test reaches
// them through the network's Dial, or through the map of hosts that [World].Ready
// tells, and trusts the world's own certificate authority.
//
// Every exchange lands in one journal. Misbehaviour comes from a seed and a
// profile, from faults set by name, and from magic addresses; each fake's
// package comment says what it knows and what it does not model.
package fakes
