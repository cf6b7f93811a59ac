package fakeautodiscover

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"mailbell/fakes/fault"
	"mailbell/fakes/journal"
)

// Namespaces of the POX documents (Autodiscover reference, "POX").
const (
	nsPOXRequest  = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
	nsPOXOuter    = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
	nsPOXResponse = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
)

// servePOX answers an authenticated request on .xml, for one user.
func (s *Server) servePOX(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		s.poxError(w, r, "", 600, "Invalid Request")
		return
	}
	document, err := parse(r.Body)
	if err != nil || document.name.Space != nsPOXRequest || document.name.Local != "Autodiscover" {
		s.poxError(w, r, "", 600, "Invalid Request")
		return
	}
	request := document.child(nsPOXRequest, "Request")
	address := request.child(nsPOXRequest, "EMailAddress").value()
	if address == "" {
		s.poxError(w, r, "", 600, "Invalid Request")
		return
	}
	if request.child(nsPOXRequest, "AcceptableResponseSchema").value() != nsPOXResponse {
		s.poxError(w, r, address, 601, "Provider is not available")
		return
	}
	q := getUserSettings{users: []string{address}}
	if f, ok := s.options.Faults.Strikes("autodiscover.slow", s.scope(r, q)); ok && !sleep(r.Context(), f.Duration("for", SlowDefault)) {
		return
	}
	if f, ok := s.options.Faults.Strikes("autodiscover.busy", s.scope(r, q)); ok {
		s.poxBusy(w, r, address, f)
		return
	}
	u, ok := s.lookup(address)
	switch {
	case !ok, u.ErrorCode != "":
		s.poxError(w, r, address, 500, "The e-mail address cannot be found.")
		return
	case u.RedirectAddress != "":
		s.pox(w, r, address, "redirectAddr", poxAccount(poxElement("Action", "redirectAddr")+poxElement("RedirectAddr", u.RedirectAddress)))
		return
	case u.RedirectURL != "":
		s.pox(w, r, address, "redirectUrl", poxAccount(poxElement("Action", "redirectUrl")+
			poxElement("RedirectUrl", strings.Replace(u.RedirectURL, ".svc", ".xml", 1))))
		return
	}
	s.pox(w, r, address, "", s.poxSettings(u))
}

// poxSettings is the document for a mailbox: EXCH inside, EXPR outside, and a
// WEB protocol that nests others.
func (s *Server) poxSettings(u UserSettings) string {
	online := "False"
	if u.Online {
		online = "True"
	}
	user := `<User>` + poxElement("DisplayName", u.DisplayName) + poxElement("LegacyDN", u.UserDN) +
		poxElement("AutoDiscoverSMTPAddress", u.Address) + poxElement("DeploymentId", u.DeploymentID) + `</User>`
	inside := `<Protocol><Type>EXCH</Type>` + poxElement("Server", u.Server) + s.poxURLs(u.InternalEwsURL) + `</Protocol>`
	grouping := u.Grouping
	if s.options.Version.Major <= majorOf2010 {
		grouping = ""
	}
	outside := `<Protocol><Type>EXPR</Type><SSL>On</SSL><AuthPackage>Ntlm</AuthPackage>` + s.poxURLs(u.ExternalEwsURL) +
		poxElement("GroupingInformation", grouping) + `</Protocol>`
	web := `<Protocol><Type>WEB</Type><Internal><Protocol><Type>EXCH</Type><ASUrl>https://web.invalid/EWS/Exchange.asmx</ASUrl></Protocol></Internal></Protocol>`
	return user + poxAccount(`<AccountType>email</AccountType><Action>settings</Action>`+poxElement("MicrosoftOnline", online)+inside+web+outside)
}

func (s *Server) poxURLs(url string) string {
	if s.options.POXWithoutEwsURL {
		return poxElement("ASUrl", url)
	}
	return poxElement("ASUrl", url) + poxElement("EwsUrl", url)
}

func poxAccount(content string) string { return `<Account>` + content + `</Account>` }

// poxElement leaves an element without a value out.
func poxElement(name, value string) string {
	if value == "" {
		return ""
	}
	return "<" + name + ">" + escape(value) + "</" + name + ">"
}

func (s *Server) pox(w http.ResponseWriter, r *http.Request, address, reason, content string) {
	s.record(r, journal.Entry{Operation: "POX", Mailbox: address, Status: http.StatusOK, Reason: reason})
	writeXML(w, http.StatusOK, `<?xml version="1.0" encoding="utf-8"?>`+"\n"+`<Autodiscover xmlns="`+nsPOXOuter+`"><Response xmlns="`+
		nsPOXResponse+`">`+content+`</Response></Autodiscover>`)
}

// poxError is the error document, whose Response stays in the outer namespace.
func (s *Server) poxError(w http.ResponseWriter, r *http.Request, address string, code int, message string) {
	s.record(r, journal.Entry{Operation: "POX", Mailbox: address, Status: http.StatusOK, Reason: strconv.Itoa(code)})
	writeXML(w, http.StatusOK, `<?xml version="1.0" encoding="utf-8"?>`+"\n"+`<Autodiscover xmlns="`+nsPOXOuter+`"><Response><Error Time="`+
		time.Now().Format("15:04:05.0000000")+`" Id="2477272013"><ErrorCode>`+strconv.Itoa(code)+`</ErrorCode><Message>`+escape(message)+
		`</Message><DebugData/></Error></Response></Autodiscover>`)
}

func (s *Server) poxBusy(w http.ResponseWriter, r *http.Request, address string, f fault.Fault) {
	s.record(r, journal.Entry{Operation: "POX", Mailbox: address, Status: http.StatusServiceUnavailable, Fault: f.Name})
	w.Header().Set("Retry-After", strconv.Itoa(int(f.Duration("retry-after", 30*time.Second)/time.Second)))
	http.Error(w, "Service Unavailable", http.StatusServiceUnavailable)
}
