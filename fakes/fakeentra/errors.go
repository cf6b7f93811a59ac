package fakeentra

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"time"
)

// oauthError is an error answer (Microsoft identity platform, "Authentication
// and authorization error codes").
type oauthError struct {
	status int
	name   string // OAuth error
	code   int    // AADSTS number
	text   string
}

func (e *oauthError) Error() string { return fmt.Sprintf("AADSTS%d: %s", e.code, e.text) }

func missingParameter(name string) *oauthError {
	return &oauthError{
		http.StatusBadRequest, "invalid_request", 900144,
		fmt.Sprintf("The request body must contain the following parameter: '%s'.", name),
	}
}

func tenantNotFound(name string) *oauthError {
	return &oauthError{
		http.StatusBadRequest, "invalid_request", 90002,
		fmt.Sprintf("Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.", clip(name)),
	}
}

func appNotFound(clientID string, t Tenant) *oauthError {
	return &oauthError{
		http.StatusBadRequest, "unauthorized_client", 700016,
		fmt.Sprintf("Application with identifier '%s' was not found in the directory '%s'.", clip(clientID), t.ID),
	}
}

func wrongSecret(app App) *oauthError {
	return &oauthError{
		http.StatusUnauthorized, "invalid_client", 7000215,
		fmt.Sprintf("Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '%s'.", app.ClientID),
	}
}

func expiredSecret(app App) *oauthError {
	return &oauthError{
		http.StatusUnauthorized, "invalid_client", 7000222,
		fmt.Sprintf("The provided client secret keys for app '%s' are expired. Visit the Azure portal to create new keys for your app.", app.ClientID),
	}
}

func noCredential() *oauthError {
	return &oauthError{
		http.StatusUnauthorized, "invalid_client", 7000218,
		"The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
	}
}

// badAssertion is code 700027, or 700024 for one outside its time.
func badAssertion(code int, why string) *oauthError {
	return &oauthError{http.StatusUnauthorized, "invalid_client", code, "Client assertion failed validation: " + why + "."}
}

func badScope(code int, text string) *oauthError {
	return &oauthError{http.StatusBadRequest, "invalid_scope", code, text}
}

func (s *Server) writeError(w http.ResponseWriter, e *oauthError) {
	now := time.Now().UTC()
	trace, correlation := guid(), guid()
	writeJSON(w, e.status, map[string]any{
		"error": e.name,
		"error_description": fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s",
			e.code, e.text, trace, correlation, now.Format("2006-01-02 15:04:05Z")),
		"error_codes":    []int{e.code},
		"timestamp":      now.Format("2006-01-02 15:04:05Z"),
		"trace_id":       trace,
		"correlation_id": correlation,
		"error_uri":      fmt.Sprintf("%serror?code=%d", s.base(), e.code),
	})
}

// clip keeps a client's text short in an answer.
func clip(s string) string {
	const most = 100
	if len(s) > most {
		return s[:most]
	}
	return s
}

func guid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
