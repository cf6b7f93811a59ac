package fakeews

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mailbell/fakes/exchange"
	faults "mailbell/fakes/fault"
	"mailbell/fakes/iisauth"
	"mailbell/fakes/journal"
)

// HeartbeatForm is what a heartbeat looks like.
type HeartbeatForm string

// The forms. Which real version uses which is not published.
const (
	HeartbeatStatus HeartbeatForm = ""       // ConnectionStatus OK alone
	HeartbeatEvent  HeartbeatForm = "events" // an empty StatusEvent for each subscription
	HeartbeatNone   HeartbeatForm = "none"
)

// Options configure the fake. Organisation is required.
type Options struct {
	Organisation *exchange.Organisation
	Profile      faults.Profile   // empty: real
	Faults       *faults.Set      // nil: none
	Journal      *journal.Journal // nil: nothing is recorded
	Seed         int64            // of the profile's draws

	Heartbeat     time.Duration // 0: HeartbeatDefault
	HeartbeatForm HeartbeatForm
	// Latency is how long an event takes to be told. Real servers take 1 to 5
	// seconds; 0 tells it at once.
	Latency time.Duration
	// TooManyIDs is the fault for more than 200 ids; empty: ErrorInvalidRequest.
	TooManyIDs string
	// FreeAbandoned frees the place of a stream as soon as its client has gone
	// instead of at the next write.
	FreeAbandoned bool
	// CookieAlways sets X-BackEndOverrideCookie on every answer, as some
	// servers of 2016 do.
	CookieAlways bool
	// Anonymous is who a request is from that no iisauth.Site authenticated;
	// nil: such requests get 401.
	Anonymous *iisauth.Identity

	Logger *slog.Logger // nil: discard
}

// Server is the handler for /EWS/Exchange.asmx, in any case. It is safe for
// concurrent use.
type Server struct {
	options   Options
	org       *exchange.Organisation
	behaviour exchange.Behaviour
	next      atomic.Uint64 // of the default routing, and of names in answers

	busy    *busy
	magic   *magic
	recent  *recent
	closing chan struct{}
	once    sync.Once
	streams sync.WaitGroup
	mu      sync.Mutex // guards closed against streams.Add
	closed  bool
}

// New returns a fake in front of options.Organisation. An error names the
// option that is wrong.
func New(options Options) (*Server, error) {
	if options.Organisation == nil {
		return nil, errors.New("fakeews: Options.Organisation is nil")
	}
	if options.Profile == "" {
		options.Profile = faults.Real
	}
	if _, err := faults.ParseProfile(string(options.Profile)); err != nil {
		return nil, fmt.Errorf("fakeews: Options.Profile: %w", err)
	}
	switch options.HeartbeatForm {
	case HeartbeatStatus, HeartbeatEvent, HeartbeatNone:
	default:
		return nil, fmt.Errorf("fakeews: Options.HeartbeatForm %q: want empty, %q or %q", options.HeartbeatForm, HeartbeatEvent, HeartbeatNone)
	}
	if options.Heartbeat <= 0 {
		options.Heartbeat = HeartbeatDefault
	}
	if options.TooManyIDs == "" {
		options.TooManyIDs = "ErrorInvalidRequest"
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	return &Server{
		options: options, org: options.Organisation, behaviour: options.Organisation.Behaviour(),
		busy: newBusy(), magic: newMagic(), recent: newRecent(), closing: make(chan struct{}),
	}, nil
}

// Close cuts all open streams and waits for their handlers. Later streams are
// refused; other requests are still served. It may be called twice and returns
// nil.
func (s *Server) Close() error {
	s.once.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		close(s.closing)
	})
	s.streams.Wait()
	return nil
}

// call is one request on its way.
type call struct {
	server   *Server
	w        http.ResponseWriter
	r        *http.Request
	began    time.Time
	identity iisauth.Identity
	request  *request
	mailbox  string // target: impersonated, else the caller's own; may be empty
	asked    bool   // the target was impersonated
	host     string // short name of the server the request was routed to
	form     form
	entry    journal.Entry
	recorded bool // entry is in the journal
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{server: s, w: w, r: r, began: time.Now(), form: plain}
	c.entry = journal.Entry{Server: "ews", Kind: "request", Conn: iisauth.ConnOf(r), Detail: map[string]string{}}
	defer c.record()
	w.Header().Set("request-id", requestID())
	if id := r.Header.Get("client-request-id"); id != "" && strings.EqualFold(r.Header.Get("return-client-request-id"), "true") {
		w.Header().Set("client-request-id", id)
	}
	if !strings.EqualFold(strings.TrimRight(r.URL.Path, "/"), "/EWS/Exchange.asmx") {
		c.plainText(http.StatusNotFound, "text/html", "<html><head><title>404 - File or directory not found.</title></head></html>")
		return
	}
	var ok bool
	if c.identity, ok = c.identify(); !ok {
		c.unauthorized()
		return
	}
	c.entry.Account = c.identity.Account
	switch r.Method {
	case http.MethodPost:
	case http.MethodGet, http.MethodHead:
		c.plainText(http.StatusOK, "text/html", "<html><head><title>Exchange Web Services</title></head><body>You have created a service.</body></html>")
		return
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		c.plainText(http.StatusMethodNotAllowed, "text/html", "<html><head><title>405 - HTTP verb used to access this page is not allowed.</title></head></html>")
		return
	}
	var body bytes.Buffer
	const likely = 1 << 20
	body.Grow(int(min(max(r.ContentLength, 0), likely)) + bytes.MinRead)
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, BodyMax))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		c.plainText(http.StatusRequestEntityTooLarge, "text/html", "<html><head><title>413 - Request Entity Too Large</title></head></html>")
		return
	case err != nil:
		c.plainText(http.StatusBadRequest, "text/html", "<html><head><title>400 - Bad Request</title></head></html>")
		return
	}
	q, f := parseRequest(body.Bytes())
	if q != nil {
		c.request = q
		c.entry.Operation = q.operation
	}
	if f != nil {
		c.fault(f)
		return
	}
	c.serve()
}

// identify is whom the request is from; accounts that were disabled since they
// logged in are out from their next request on, and rights are those of now.
func (c *call) identify() (iisauth.Identity, bool) {
	id, ok := iisauth.IdentityOf(c.r)
	if !ok {
		if c.server.options.Anonymous == nil {
			return iisauth.Identity{}, false
		}
		id = *c.server.options.Anonymous
	}
	if a, found := c.server.org.LookupAccount(id.Account, ""); found && !id.AppOnly {
		if a.Disabled || a.Locked || a.Expired {
			return id, false
		}
		id.Impersonation = a.Impersonation
	}
	return id, true
}

// serve is a request that is well-formed and authenticated.
func (c *call) serve() {
	s, q := c.server, c.request
	if q.sid != nil {
		c.asked = true
		c.mailbox = s.addressOf(q.sid)
	} else if own, ok := s.org.OwnMailbox(c.identity.Account); ok {
		c.mailbox = own.Address
	}
	c.entry.Mailbox = c.mailbox
	c.host = s.route(c)
	c.w.Header().Set("X-BEServer", strings.ToUpper(c.host))
	c.w.Header().Set("X-DiagInfo", strings.ToUpper(c.host))
	c.entry.Detail["server"] = c.host
	caller := exchange.EWSCaller{Mailbox: c.mailbox, UserAgent: c.r.UserAgent()}
	if c.identity.AppOnly {
		caller.App = c.identity.Account
	}
	if reason := s.org.EWSBlocked(caller); reason != "" {
		// The status is documented, the body is not.
		c.entry.Reason = reason
		c.plainText(http.StatusForbidden, "text/html", "<html><head><title>403 - Forbidden: Access is denied.</title></head></html>")
		return
	}
	c.choose()
	if c.misbehave() {
		return
	}
	if f := c.admit(); f != nil {
		c.fault(f)
		return
	}
	s.setCookies(c)
	if q.operation == "GetStreamingEvents" {
		c.getStreamingEvents()
		return
	}
	charge := exchange.AccountCharge(c.identity.Account)
	if c.asked {
		charge = exchange.ServiceCharge(c.identity.Account, c.mailbox)
	}
	release, refused := s.org.BeginRequest(c.r.Context(), charge)
	if refused != nil {
		c.fault(faultOf(refused))
		return
	}
	defer release()
	c.delay()
	var out []byte
	var f *fault
	switch q.operation {
	case "Subscribe":
		out, f = c.subscribe()
	case "Unsubscribe":
		out, f = c.unsubscribe()
	case "GetItem":
		out, f = c.getItem()
	case "FindItem":
		out, f = c.findItem()
	case "SyncFolderItems":
		out, f = c.syncFolderItems()
	case "GetFolder":
		out, f = c.getFolder()
	case "ConvertId":
		out, f = c.convertID()
	case "ResolveNames":
		out, f = c.resolveNames()
	case "GetServerTimeZones":
		out, f = c.getServerTimeZones()
	default:
		f = newFault("ErrorInvalidOperation", "The operation is not served here.")
	}
	if f != nil {
		c.fault(f)
		return
	}
	c.ok(out)
}

// admit checks the schema version and the right to impersonate.
func (c *call) admit() *fault {
	q, org := c.request, c.server.org
	if q.version != "" && c.schema() < 0 {
		return newFault("ErrorInvalidServerVersion", "The specified server version is invalid.")
	}
	if c.identity.AppOnly && c.r.Header.Get("X-AnchorMailbox") == "" {
		c.violation("anchor-missing")
	}
	if q.sid == nil {
		if c.identity.AppOnly {
			return newFault("ErrorImpersonateUserDenied", "ExchangeImpersonation SOAP header must be present for this type of OAuth token.")
		}
		return nil
	}
	if !c.identity.Impersonation {
		return newFault("ErrorImpersonateUserDenied", "The account does not have permission to impersonate the requested user.")
	}
	if _, err := org.Lookup(q.sid.kind, q.sid.value); err != nil {
		return faultOf(err)
	}
	if !org.MayImpersonate(c.identity.Account, c.mailbox) {
		return newFault("ErrorImpersonateUserDenied", "The account does not have permission to impersonate the requested user.")
	}
	return nil
}

// violation records what a careful client never does; the request goes on.
func (c *call) violation(reason string) {
	if j := c.server.options.Journal; j != nil {
		e := c.entry
		e.Kind, e.Reason, e.Detail = "violation", reason, nil
		j.Append(e)
	}
}

// schema is the position of the request's version among those the server
// knows: the newest when it names none, -1 when it names another.
func (c *call) schema() int {
	known := c.server.behaviour.Schemas
	if c.request.version == "" {
		return len(known) - 1
	}
	for i, v := range known {
		if v == c.request.version {
			return i
		}
	}
	return -1
}

// atLeast says whether the request is of a schema version or a newer one.
func (c *call) atLeast(version string) bool {
	for i, v := range c.server.behaviour.Schemas {
		if v == version {
			return c.schema() >= i
		}
	}
	return false
}

// addressOf is the primary address a ConnectingSID means, or its text in lower
// case when it means nobody.
func (s *Server) addressOf(sid *connectingSID) string {
	if m, err := s.org.Lookup(sid.kind, sid.value); err == nil {
		return m.Address
	}
	return strings.ToLower(strings.TrimSpace(sid.value))
}

func (c *call) ok(body []byte) { c.xml(http.StatusOK, body) }

func (c *call) fault(f *fault) {
	c.entry.Reason = f.code
	c.xml(http.StatusInternalServerError, f.write())
}

func (c *call) xml(status int, body []byte) {
	h := c.w.Header()
	h.Set("Content-Type", "text/xml; charset=utf-8")
	h.Set("Cache-Control", "private")
	h.Set("X-AspNet-Version", "4.0.30319")
	c.entry.Status = status
	c.record()
	c.w.WriteHeader(status)
	_, _ = c.w.Write(body) // a client that has gone shows at its next request
	recycle(body)
}

func (c *call) plainText(status int, contentType, body string) {
	c.w.Header().Set("Content-Type", contentType)
	c.entry.Status = status
	c.record()
	c.w.WriteHeader(status)
	_, _ = io.WriteString(c.w, body)
}

// unauthorized answers 401 with what the site offers.
func (c *call) unauthorized() {
	c.entry.Status = http.StatusUnauthorized
	c.record()
	if iisauth.Challenge(c.w, c.r) {
		return
	}
	c.w.Header().Add("WWW-Authenticate", "Negotiate")
	c.w.Header().Add("WWW-Authenticate", "NTLM")
	c.plainText(http.StatusUnauthorized, "text/html", "<html><head><title>401 - Unauthorized: Access is denied due to invalid credentials.</title></head></html>")
}

// record journals the request, once: a stream at its opening, everything else
// before its answer is written, so that who has the answer finds the entry.
func (c *call) record() {
	if c.recorded || c.server.options.Journal == nil {
		return
	}
	c.recorded = true
	for name, header := range map[string]string{"anchor": "X-AnchorMailbox", "client_request_id": "client-request-id", "user_agent": "User-Agent"} {
		if v := c.r.Header.Get(header); v != "" {
			c.entry.Detail[name] = v
		}
	}
	c.entry.Detail["took"] = time.Since(c.began).String()
	c.server.options.Journal.Append(c.entry)
}

func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
