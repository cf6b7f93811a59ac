// Package fakeentra is the token service of Microsoft Entra in the simulated
// world: login.microsoftonline.com, as far as an application without a user
// needs it.
//
// An App of a Tenant posts its client secret, or an assertion signed with the
// key of a registered certificate, and gets an access token for one resource:
// Exchange Online or the Windows notification service. Secrets and assertions
// are verified in full. The tokens are real JWTs, signed with a key that the
// server publishes, and the server verifies them again on behalf of the fakes
// they are shown to: it is an iisauth.TokenVerifier for Exchange, and Verify
// serves any other resource.
//
//	POST /<tenant>/oauth2/v2.0/token
//	GET  /<tenant>/v2.0/.well-known/openid-configuration
//	GET  /<tenant>/discovery/v2.0/keys
//	GET  /common/discovery/instance
//
// A tenant is named by its ID or one of its domains.
//
// Errors have the JSON and the AADSTS codes of the real service. Those for a
// wrong and for an expired secret are confirmed; the pairing of the others with
// their status is general knowledge.
//
// # Journal
//
// Server "entra". Kind "token" is a token request: Account the application ID
// once it is known to be one, Status, Reason the OAuth error, Detail tenant,
// scope, method (secret, basic, assertion), code (AADSTS number) and expires_in.
// Kind "request" is any other path. Secrets, assertions and tokens are never
// recorded.
//
// # Faults
//
// Asked for token requests with Scope{Server: "entra", Account: client_id}:
//
//	entra.429       429; argument retry-after (seconds; 5)
//	entra.503       503 temporarily_unavailable; argument retry-after (seconds; none)
//	entra.500       500 with an HTML page
//	entra.slow      the answer waits; argument for (10s)
//	entra.refuse    401 invalid_client although the credential is right
//
// It does not do: users, refresh tokens, the v1.0 endpoint, managed identities,
// sovereign clouds.
//
// # Not modelled, by number
//
//	auth 34: because a token is looked at when a request begins, so a stream outlives it; nothing ends a stream for its token
package fakeentra
