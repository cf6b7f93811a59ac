package api

import (
	"encoding/json"
	"net/http"
)

// problem is a refusal (RFC 9457 "Problem Details for HTTP APIs").
type problem struct {
	Type   string         `json:"type"`
	Title  string         `json:"title"`
	Status int            `json:"status"`
	Detail string         `json:"detail,omitempty"`
	Errors []fieldProblem `json:"errors,omitempty"`
}

// fieldProblem is what is wrong with one field of the request, and what to
// write instead.
type fieldProblem struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// problemType is what the type of every problem starts with.
const problemType = "urn:mailbell:problem:"

// kind is a sort of problem: its type, status and title, which do not vary.
type kind struct {
	name   string
	status int
	title  string
}

var (
	malformedBody       = kind{"malformed-body", http.StatusBadRequest, "The body cannot be read"}
	invalidRegistration = kind{"invalid-registration", http.StatusBadRequest, "The registration is not valid"}
	invalidRequest      = kind{"invalid-request", http.StatusBadRequest, "The request is not valid"}
	unauthenticated     = kind{"unauthenticated", http.StatusUnauthorized, "A valid credential is needed"}
	forbidden           = kind{"forbidden", http.StatusForbidden, "The credential does not allow this"}
	notApproved         = kind{"mailbox-not-approved", http.StatusForbidden, "The mailbox is not approved for notifications"}
	notFound            = kind{"not-found", http.StatusNotFound, "There is nothing here"}
	notRegistered       = kind{"device-not-registered", http.StatusNotFound, "The device is not registered"}
	methodNotAllowed    = kind{"method-not-allowed", http.StatusMethodNotAllowed, "The method is not allowed here"}
	tooManyDevices      = kind{"too-many-devices", http.StatusConflict, "The mailbox has as many devices as it may"}
	bodyTooLarge        = kind{"body-too-large", http.StatusRequestEntityTooLarge, "The body is too large"}
	unsupportedMedia    = kind{"unsupported-media-type", http.StatusUnsupportedMediaType, "The body has to be JSON"}
	tooManyRequests     = kind{"too-many-requests", http.StatusTooManyRequests, "Too many requests"}
	unavailable         = kind{"unavailable", http.StatusServiceUnavailable, "The service cannot do this now"}
)

// with makes a problem of the kind.
func (k kind) with(detail string, fields ...fieldProblem) *problem {
	return &problem{Type: problemType + k.name, Title: k.title, Status: k.status, Detail: detail, Errors: fields}
}

func (p *problem) write(w http.ResponseWriter) {
	writeJSON(w, "application/problem+json", p.Status, p)
}

// writeJSON answers with a value that always encodes.
func writeJSON(w http.ResponseWriter, contentType string, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic("api: " + err.Error())
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client may be gone
}
