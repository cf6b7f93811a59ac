// Package api is the registration web service: phone apps say here which
// device wants to hear of new mail, and how it is reached.
//
// Requests come in over HTTP with a credential that the enrolment authority
// signed; registrations go out to the registry. The whole interface is
// described by the OpenAPI document at /v1/openapi.json.
//
// Promised: when a registration is answered with success it is durable, and in
// force in this process: mail that arrives afterwards is announced. When a
// removal is answered with success nothing more is sent to the device, what was
// queued or on its way included. Nobody registers a mailbox that their
// credential does not name. Push addresses are never told again in full, and
// never logged.
//
// Every refusal is a problem document (RFC 9457) that names the field and what
// to do about it. On failure of a store the answer is 503, nothing is promised,
// and the request can be repeated as it is: both operations are idempotent.
package api
