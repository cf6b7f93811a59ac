// Package fakeautodiscover is the Autodiscover service of a simulated Exchange
// organisation: SOAP GetUserSettings for batches of users, the older POX
// document for one, the JSON of version 2, and the capability headers that
// clients read off an unauthenticated answer.
//
// What it knows of mailboxes comes from a Directory and is looked up for each
// request, so a mailbox that moves has other settings from then on. It is a
// strict reader: a request with a wrong namespace, content type or version is
// refused and tells why, because a client that passes here must also pass in
// front of a real server. It is a varied writer: with the Hostile profile it
// changes prefixes, declaration, empty elements and order between requests,
// and adds settings nobody asked for.
//
// Paths are matched without regard to case:
//
//	/autodiscover/autodiscover.svc                        SOAP, POST
//	/autodiscover/autodiscover.xml                        POX, POST; GET is the capability probe
//	/autodiscover/autodiscover.json[/v1.0/<address>]      JSON, GET, without credentials
//
// SOAP and POX need authentication. Given Options.Site the server does it
// itself, so that the capability headers are on the 401 as well; without, it
// must be wrapped by whoever serves it.
//
// Probe is the handler for plain HTTP on port 80, where only a redirect may be
// found; Trap is one for names that nobody may ever contact, Stranger one for a
// host that a redirect leads to and that must not be told a password.
//
// # Journal
//
// Server "autodiscover". Kind "request": Operation GetUserSettings, POX, v2,
// probe, stranger or other; Mailbox the first address asked about; Account;
// Conn; Status; Reason the error code at response level; Detail users, answered,
// addresses (those asked about), method, scheme (http or https), host, path,
// auth (how the account was authenticated), anchor, agent and concurrent
// (requests in progress). Kind "violation": what a careful client never does —
// credentials, a cookie or a body over plain HTTP ("plain-http-credentials",
// "plain-http-cookie", "plain-http-body"), any request to a trap ("trap",
// "trap-credentials"), credentials for a stranger ("stranger-credentials"), a
// bearer token without X-AnchorMailbox ("anchor-missing").
//
// # Faults
//
// Asked before authentication, with Scope{Server: "autodiscover"}; every
// request of a handshake counts:
//
//	autodiscover.503            503; argument retry-after (seconds; none)
//	autodiscover.html           200 with the page of a web site
//	autodiscover.redirect       redirect to argument to; argument status (302)
//	autodiscover.redirect-http  302 to the same path over plain HTTP
//	autodiscover.redirect-loop  302 to the request's own URL
//	autodiscover.redirect-chain  302 to the same path again and again, with ?hop=n; argument hops (11)
//	autodiscover.probe          the plain HTTP probe; arguments to, status (302)
//
// Asked after authentication with the account and the first address as scope:
//
//	autodiscover.slow       the answer waits; argument for (10s)
//	autodiscover.500        500 with a SOAP fault
//	autodiscover.reset      the connection ends in the middle of the answer
//	autodiscover.cut-xml    200 with half an envelope
//	autodiscover.large      200 with a body of argument bytes (10 MiB)
//	autodiscover.busy       ServerBusy for the whole request, without users
//	autodiscover.internal   InternalServerError; argument level: response, user or setting (response)
//	autodiscover.truncated  fewer users answered than asked; argument keep (half of them)
//
// # Addresses that misbehave
//
// Unless the directory knows them, these local parts of any domain answer:
//
//	autodiscover-busy          ServerBusy for the user
//	autodiscover-internal      InternalServerError for the user
//	autodiscover-domain        InvalidDomain
//	autodiscover-loop-a, -b    RedirectAddress to one another
//	autodiscover-self          RedirectAddress to itself
//	autodiscover-url           RedirectUrl to the service itself
//	autodiscover-url-http      RedirectUrl over plain HTTP
//	autodiscover-url-foreign   RedirectUrl to a host of another domain
//
// # DNS
//
// DNS looks up what clients look up around it, SRV records included. Neither the
// simulated networks nor cmd/fakes need it; a client with a resolver of its own
// can be pointed at it.
//
// # Not modelled
//
// GetDomainSettings, federation (wssecurity), Exchange 2007, SCP records in
// Active Directory.
package fakeautodiscover
