// Package fakeews plays Exchange Web Services: an http.Handler for
// /EWS/Exchange.asmx in front of an organisation ([mailbell/fakes/exchange]).
// It serves Subscribe, GetStreamingEvents, Unsubscribe, GetItem, FindItem,
// SyncFolderItems, GetFolder, ConvertId, ResolveNames and GetServerTimeZones,
// in exactly the form of real servers: ordinary answers with an XML declaration
// and s:Envelope, streams as unprefixed envelopes without a declaration, one a
// chunk. Authentication happens outside, in package iisauth.
//
// What comes in is a SOAP 1.1 request of any prefixes and header order; what
// goes out is an answer, a fault with status 500, or a stream that lasts until
// its ConnectionTimeout. Every exchange is journalled: server "ews", kind
// "request" (a stream adds "notification" for each item told, and
// "stream-end"), operation, account, mailbox, status, reason. The organisation
// decides what is true; this package only words it.
//
// # Profiles
//
// Calm is regular. Real, the default, sends heartbeats irregularly, between 80
// and 100 per cent of the period; everything else keeps Exchange's form, so that
// strict clients pass. Hostile also splits envelopes at any byte and joins
// them, writes CR LF between them, uses other prefixes and attribute orders,
// puts t:SubscriptionId into ErrorSubscriptionIds, writes characters illegal in
// XML as references, tells events late or twice, forgets items for a second
// after their event, withholds the override cookie or sets it always, and asks
// for credentials in the middle of a session. The same seed draws the same.
//
// # Faults
//
// Put into Options.Faults; Scope.Server is a short server name (ex01),
// Scope.Mailbox the mailbox impersonated (or told of), Scope.Account the caller.
//
//	ews.busy               ErrorServerBusy. Args: ms (BackOffMilliseconds, 5000), form (fault | message),
//	                       extend (true: requests before the time is over are refused and start it anew; false)
//	ews.503                503. Args: retry_after (seconds)
//	ews.html500            500 with the HTML page of a restarting worker
//	ews.302                redirect to /ews/genericerrorpage.htm
//	ews.401                401 in a healthy session
//	ews.fault              any SOAP fault. Args: code, text
//	ews.error              any per-message error. Args: code, text, operation (only that one)
//	ews.slow               delays the answer. Args: delay (2s)
//	ews.denied             ErrorImpersonateUserDenied
//	ews.item.notfound      GetItem: ErrorItemNotFound for the item asked
//	ews.subscription.lost  forgets the subscription about to be told of, silently: only comparing finds out
//	ews.stream.cut         ends a stream without Closed when an envelope is due. Args: how (eof | reset)
//	ews.stream.cutmid      the same in the middle of the envelope
//	ews.stream.silent      from then on no byte, connection open
//	ews.stream.lose-event  drops an event, asked once an event
//	ews.stream.duplicate   tells a notification twice
//	ews.stream.late        holds events back. Args: delay (30s)
//	ews.stream.error       tells an error about the subscription instead of its events and ends it. Args: code
//	ews.stream.mute        leaves heartbeats out, events still come
//	ews.split              writes envelopes as profile hostile does
//	ews.nocookie           withholds X-BackEndOverrideCookie
//
// Mailboxes whose local part begins with one of these misbehave on their own:
//
//	busy.    the first three requests: ErrorServerBusy with BackOffMilliseconds 2000
//	moved.   ErrorMailboxMoveInProgress for ten seconds from the first request
//	slow.    every answer takes three seconds
//	gone.    the first GetItem of each item: ErrorItemNotFound
//	cut.     streams impersonating it are cut without Closed when the third envelope is due
//	silent.  streams impersonating it fall silent after the first envelope
//	denied.  ErrorImpersonateUserDenied
//	missing. ErrorNonExistentMailbox
//
// # Decided without confirmation
//
// No public source says what real servers do here: more than 200 ids are
// ErrorInvalidRequest (Options.TooManyIDs); a missing RequestServerVersion means
// the newest the server knows; an unknown operation is ErrorInvalidOperation;
// after an error about some ids an open stream goes on with the others; an open
// stream survives the loss of the impersonation right; Subscribe routed by
// cookie into another site than the mailbox's is ErrorProxyRequestNotAllowed; an
// application without the impersonation header gets the published text under
// the code ErrorImpersonateUserDenied; a
// stream that never reaches its client keeps its place in the budget until the
// next write.
//
// # Not modelled
//
// Push and pull subscriptions, folder hierarchy operations, everything that
// writes (CreateItem, UpdateItem, …: use the organisation), attachments,
// calendars, delegates' folder permissions, compression, UTF-16 requests,
// WS-Security, restrictions beyond comparisons joined by And, Or and Not, item
// properties beyond those of a message list and its bodies, and the resets of
// TLS handshakes, which belong to the network.
package fakeews
