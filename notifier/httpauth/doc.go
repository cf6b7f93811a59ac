// Package httpauth sends HTTP requests to Exchange as one account.
//
// In goes a request without credentials; out comes the answer to the
// authenticated request, or an error that says what went wrong. A [Pool] is an
// [http.RoundTripper] for one account, with [NTLM], [Basic], [Bearer] or [None]
// credentials behind the same method, so the protocol packages know nothing of
// authentication.
//
// # What is promised
//
// Identity: a connection authenticated by NTLM belongs to its account for as
// long as it lives, whatever a later request on it says. A pool therefore owns
// its transports, and accounts never share one.
//
// Quiet: at most SlotsMax connections a host, one request in flight on each. A
// slot, with its connections, is lent from before the request is sent until the
// body of the answer is closed, so nobody can step between the messages of a
// handshake.
//
// Caution: passwords go out where they were meant to. Basic and Bearer need
// https; an on-premises password never goes to a host of Office 365; redirects
// are handed to the caller, never followed; certificates are always verified.
//
// # What happens on failure
//
// A refused handshake is repeated once on a fresh connection before it counts.
// A reset, a deadline, a handshake torn over two connections or a challenge that
// cannot be answered is a [HandshakeError] or the plain transport error, never
// a verdict on the password. A verified refusal is a [RejectedError]; it closes
// a gate for 1, then 5, then 30 minutes, during which requests fail at once,
// so that a wrong password does not lock the account out in the directory.
//
// Bearer tokens come from a [TokenSource]: one token request however many
// callers wait, renewal in the background of a use, and errors that carry the
// directory's code for the operator but no secret.
package httpauth
