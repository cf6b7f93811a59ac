// Package iisauth answers for the authentication of a simulated Exchange
// server, the way IIS does in front of the real one.
//
// A Site sits before an http.Handler. What comes in is any request; what goes
// on to the handler is a request of a known Identity, told by IdentityOf and,
// for tests, by the response header X-Fake-Identity. Everything else ends in a
// 401 with one WWW-Authenticate line for each scheme on offer.
//
// # NTLM
//
// NTLM is verified for real: the NTLMv2 proof over a random challenge, the
// message integrity code where the client promised one, the channel binding
// under Extended Protection. It authenticates the connection, not the request:
// after a good type 3 every further request on that connection is that user,
// whatever its headers say, and a type 3 on another connection than its type 1
// is worth nothing. The Site therefore needs the connection of each request;
// give its ConnContext to the http.Server:
//
//	site := iisauth.New(iisauth.Options{Directory: accounts})
//	server := &http.Server{Handler: site.Handler(ews), ConnContext: site.ConnContext}
//
// The scheme word Negotiate is answered when it carries a raw NTLM message;
// a SPNEGO token and Kerberos are refused. NTLMv1 is refused, LM responses are
// ignored. HTTP/2 cannot carry NTLM: serve HTTP/1.1 only (TLSConfig.NextProtos
// "http/1.1"); an NTLM message that does arrive over HTTP/2 has its stream
// reset, as by IIS, although the error code differs (INTERNAL_ERROR, where IIS
// says HTTP_1_1_REQUIRED: net/http offers no other).
//
// # Basic and Bearer
//
// Basic is offered only when Options.Schemes names it. Bearer hands the token
// to a TokenVerifier and answers a bad one with the challenge of Exchange
// Online. Both authenticate a single request.
//
// # Journal
//
// Entries have Server "iis". Kind "auth" is one attempt: Operation tells the
// step (anonymous, ntlm-type1, ntlm-type3, basic, bearer), Status and Reason
// the verdict, Account whom the directory resolved the name to, Conn the
// connection, Detail["scheme"] the scheme word. Requests that ride on an
// authenticated connection are not recorded, and of Basic and Bearer only the
// first success of an identity on a connection is. Kind "violation" is
// something a careful client never does: a password over plain HTTP
// ("basic-plain-http") or to a site that did not ask for one
// ("basic-unoffered"). No entry ever holds a password, a token, a challenge or
// a message.
//
// # Faults
//
// Each is asked with Scope{Server: Options.Server} and, once it is known, the
// account:
//
//	iis.401              a request that deserves entry gets a 401 with bare schemes,
//	                     and its connection is no longer authenticated
//	iis.reset-type1      the connection is reset at the type 1
//	iis.reset-type3      the connection is reset at the type 3
//	iis.stall-type3      the answer to the type 3 waits; argument for (5s)
//	iis.close-challenge  the challenge says Connection: close
//	iis.key-exch         the challenge demands a key exchange nobody offered
//	iis.bad-challenge    the challenge is not a message at all
//
// # Not modelled, by number
//
//	auth 21: because a proxy that multiplexes connections stands between client and server; X-Fake-Identity tells a client's suite whom it was taken for
package iisauth
