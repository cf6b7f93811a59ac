package fakeautodiscover

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"mailbell/fakes/journal"
)

// serveJSON is Autodiscover version 2: a URL for a protocol, without
// credentials. It never tells grouping or versions.
func (s *Server) serveJSON(w http.ResponseWriter, r *http.Request) {
	query := lowerKeys(r.URL.Query())
	address := query.Get("email")
	if rest, ok := strings.CutPrefix(r.URL.Path[len(pathJSON):], "/"); ok {
		_, address, _ = strings.Cut(rest, "/") // v1.0/<address>
	}
	protocol := query.Get("protocol")
	switch {
	case r.Method != http.MethodGet:
		s.jsonError(w, r, address, http.StatusMethodNotAllowed, "MethodNotAllowed", "Only GET is supported.")
		return
	case protocol == "":
		s.jsonError(w, r, address, http.StatusBadRequest, "MandatoryParameterMissing", "A valid value must be provided for the query parameter 'Protocol'")
		return
	case !strings.EqualFold(protocol, "EWS") && !strings.EqualFold(protocol, "AutodiscoverV1"):
		s.jsonError(w, r, address, http.StatusBadRequest, "InvalidProtocol", "The given protocol value is invalid. Supported values are 'EWS,AutodiscoverV1'")
		return
	case !strings.Contains(address, "@"):
		s.jsonError(w, r, address, http.StatusBadRequest, "MandatoryParameterMissing", "A valid smtp address must be provided")
		return
	}
	u, ok := s.lookup(address)
	switch {
	case !ok, u.ErrorCode != "":
		s.jsonError(w, r, address, http.StatusNotFound, "UserNotFound", "The user is not known.")
		return
	case u.RedirectAddress != "":
		s.jsonRedirect(w, r, address, "https://"+r.Host+pathJSON+"/v1.0/"+u.RedirectAddress+"?Protocol="+url.QueryEscape(protocol))
		return
	case u.RedirectURL != "":
		s.jsonRedirect(w, r, address, strings.Replace(u.RedirectURL, pathSOAP, pathJSON, 1)+"/v1.0/"+address+"?Protocol="+url.QueryEscape(protocol))
		return
	}
	answer := struct {
		Protocol       string
		URL            string `json:"Url"`
		ServerLocation string `json:",omitempty"`
	}{Protocol: "EWS", URL: u.ExternalEwsURL}
	if answer.URL == "" {
		answer.URL = u.InternalEwsURL
	}
	if strings.EqualFold(protocol, "AutodiscoverV1") {
		answer.Protocol, answer.URL = "AutodiscoverV1", "https://"+r.Host+pathPOX
	}
	if u.Online && strings.EqualFold(query.Get("serverlocation"), "true") {
		answer.ServerLocation = "EURPRD01"
	}
	s.json(w, r, address, http.StatusOK, "", answer)
}

func (s *Server) jsonRedirect(w http.ResponseWriter, r *http.Request, address, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusFound)
	s.record(r, journal.Entry{Operation: "v2", Mailbox: address, Status: http.StatusFound})
}

func (s *Server) jsonError(w http.ResponseWriter, r *http.Request, address string, status int, code, message string) {
	s.json(w, r, address, status, code, struct{ ErrorCode, ErrorMessage string }{code, message})
}

func (s *Server) json(w http.ResponseWriter, r *http.Request, address string, status int, reason string, answer any) {
	s.record(r, journal.Entry{Operation: "v2", Mailbox: address, Status: status, Reason: reason})
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // the client may be gone; nobody to tell
}

// lowerKeys makes parameter names case-insensitive, as they are in ASP.NET.
func lowerKeys(query url.Values) url.Values {
	out := url.Values{}
	for k, v := range query {
		out[strings.ToLower(k)] = append(out[strings.ToLower(k)], v...)
	}
	return out
}
