package fakeautodiscover

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"mailbell/fakes/fault"
	"mailbell/fakes/iisauth"
	"mailbell/fakes/journal"
)

const operationSOAP = "GetUserSettings"

// serveSOAP answers an authenticated request on .svc.
func (s *Server) serveSOAP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		s.plain(w, r, http.StatusMethodNotAllowed, "method")
		return
	}
	if !isTextXML(r.Header.Get("Content-Type")) {
		s.plain(w, r, http.StatusUnsupportedMediaType, "content-type")
		return
	}
	envelope, err := parse(r.Body)
	if err != nil {
		s.fault(w, r, getUserSettings{}, faultf("The request is not well-formed XML: %v.", err), "")
		return
	}
	q, refused := s.read(envelope)
	if refused != nil && refused.fault {
		s.fault(w, r, q, refused, "")
		return
	}
	if s.broken(w, r, q) {
		return
	}
	if refused != nil {
		s.reply(w, r, q, refused.code, refused.text, nil, "")
		return
	}
	s.answerUsers(w, r, q)
}

// answerUsers looks every user up, in order.
func (s *Server) answerUsers(w http.ResponseWriter, r *http.Request, q getUserSettings) {
	scope := s.scope(r, q)
	if f, ok := s.options.Faults.Strikes("autodiscover.busy", scope); ok {
		s.reply(w, r, q, "ServerBusy", texts["ServerBusy"], nil, f.Name)
		return
	}
	if !s.spend(scope.Account, len(q.users)) {
		s.reply(w, r, q, "ServerBusy", texts["ServerBusy"], nil, "")
		return
	}
	internal, strikes := s.options.Faults.Strikes("autodiscover.internal", scope)
	struck := internal.Name
	level := internal.Args["level"]
	if strikes && level != "user" && level != "setting" {
		s.reply(w, r, q, "InternalServerError", texts["InternalServerError"], nil, struck)
		return
	}
	answers := make([]userAnswer, 0, len(q.users))
	delay := time.Duration(0)
	for _, address := range q.users {
		if u, ok := s.lookup(address); ok {
			delay = max(delay, u.Delay)
		}
		a := s.answer(address, q.settings)
		switch {
		case !strikes:
		case level == "user":
			a = userAnswer{code: "InternalServerError", text: texts["InternalServerError"]}
		case len(a.values) > 0:
			broken := a.values[0].name
			a.values = a.values[1:]
			a.errors = append(a.errors, settingError{broken, "InternalServerError", texts["InternalServerError"]})
		}
		answers = append(answers, a)
	}
	if f, ok := s.options.Faults.Strikes("autodiscover.truncated", scope); ok {
		answers = answers[:max(0, min(len(answers), f.Int("keep", len(answers)/2)))]
		struck = f.Name
	}
	if !sleep(r.Context(), delay) {
		return
	}
	s.reply(w, r, q, "NoError", "", answers, struck)
}

// broken lets the faults strike that need no understanding of the request.
func (s *Server) broken(w http.ResponseWriter, r *http.Request, q getUserSettings) bool {
	scope := s.scope(r, q)
	if f, ok := s.options.Faults.Strikes("autodiscover.slow", scope); ok {
		if !sleep(r.Context(), f.Duration("for", SlowDefault)) {
			s.recordSOAP(r, q, 0, "gone", f.Name, 0)
			return true
		}
	}
	if f, ok := s.options.Faults.Strikes("autodiscover.500", scope); ok {
		s.fault(w, r, q, &refusal{fault: true, code: "Server", text: "An internal server error occurred. The operation failed."}, f.Name)
		return true
	}
	whole := func() string { return s.envelope(s.options.Style, "NoError", "", nil) }
	if f, ok := s.options.Faults.Strikes("autodiscover.cut-xml", scope); ok {
		body := whole()
		s.recordSOAP(r, q, http.StatusOK, "", f.Name, 0)
		writeXML(w, http.StatusOK, body[:len(body)/2])
		return true
	}
	if f, ok := s.options.Faults.Strikes("autodiscover.large", scope); ok {
		s.recordSOAP(r, q, http.StatusOK, "", f.Name, 0)
		writeXML(w, http.StatusOK, strings.Replace(whole(), "<s:Header>", "<s:Header>"+strings.Repeat(" ", f.Int("bytes", LargeBytesDefault)), 1))
		return true
	}
	if f, ok := s.options.Faults.Strikes("autodiscover.reset", scope); ok {
		s.recordSOAP(r, q, http.StatusOK, "", f.Name, 0)
		body := whole()
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		writeXML(w, http.StatusOK, body[:len(body)/2])
		_ = http.NewResponseController(w).Flush() // the abort below ends the answer either way
		panic(http.ErrAbortHandler)
	}
	return false
}

// reply writes a response message and records it.
func (s *Server) reply(w http.ResponseWriter, r *http.Request, q getUserSettings, code, text string, users []userAnswer, struck string) {
	reason := code
	if code == "NoError" {
		reason = ""
	}
	s.recordSOAP(r, q, http.StatusOK, reason, struck, len(users))
	writeXML(w, http.StatusOK, s.envelope(s.style(), code, text, users))
}

// fault writes a SOAP fault, which comes with status 500.
func (s *Server) fault(w http.ResponseWriter, r *http.Request, q getUserSettings, refused *refusal, struck string) {
	s.recordSOAP(r, q, http.StatusInternalServerError, refused.text, struck, 0)
	writeXML(w, http.StatusInternalServerError, soapFault(refused.code, refused.text))
}

// plain refuses without an envelope.
func (s *Server) plain(w http.ResponseWriter, r *http.Request, status int, reason string) {
	s.record(r, journal.Entry{Operation: operationSOAP, Status: status, Reason: reason})
	http.Error(w, http.StatusText(status), status)
}

func (s *Server) recordSOAP(r *http.Request, q getUserSettings, status int, reason, struck string, answered int) {
	e := journal.Entry{
		Operation: operationSOAP, Status: status, Reason: reason, Fault: struck,
		Detail: map[string]string{
			"users": strconv.Itoa(len(q.users)), "answered": strconv.Itoa(answered), "anchor": r.Header.Get("X-AnchorMailbox"),
			"addresses": strings.Join(q.users[:min(len(q.users), AddressesRecordedMax)], " "),
		},
	}
	if len(q.users) > 0 {
		e.Mailbox = q.users[0]
	}
	s.record(r, e)
}

func (s *Server) scope(r *http.Request, q getUserSettings) fault.Scope {
	scope := fault.Scope{Server: "autodiscover"}
	if id, ok := iisauth.IdentityOf(r); ok {
		scope.Account = id.Account
	}
	if len(q.users) > 0 {
		scope.Mailbox = strings.ToLower(q.users[0])
	}
	return scope
}

func writeXML(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // the client may be gone; nobody to tell
}

// sleep waits for d; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
