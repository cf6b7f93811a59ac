package fakeews

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"mailbell/fakes/exchange"
	faults "mailbell/fakes/fault"
)

// Draws of the hostile profile.
const (
	hostileFormOdds   = 0.3  // other prefixes and attribute order
	hostile401Odds    = 0.02 // 401 in a healthy session
	hostileLateOdds   = 0.05
	hostileLateMax    = 30 * time.Second
	hostileTwiceOdds  = 0.05
	hostileForgetOdds = 0.1 // an item that is not there yet
	forgetFor         = time.Second
)

func (c *call) scope() faults.Scope {
	return faults.Scope{Server: c.host, Mailbox: c.mailbox, Account: c.identity.Account}
}

// strike asks for a fault by name and notes it in the journal entry.
func (c *call) strike(name string) (faults.Fault, bool) {
	f, ok := c.server.options.Faults.Strikes(name, c.scope())
	if ok {
		c.entry.Fault = name
	}
	return f, ok
}

func (s *Server) strikes(c *call, name string) bool {
	_, ok := c.strike(name)
	return ok
}

// draw is a draw of the hostile profile; in others it is never true. The
// draws of one (what, mailbox) follow from the seed.
func (s *Server) draw(c *call, what string, odds float64) bool {
	if s.options.Profile != faults.Hostile {
		return false
	}
	return s.uniform(what, c.mailbox) < odds
}

func (s *Server) uniform(what, key string) float64 {
	return faults.Uniform(s.options.Seed, what+"\x00"+key, s.magic.count("draw "+what, key))
}

// choose picks the form of the answers.
func (c *call) choose() {
	if c.server.options.Profile != faults.Hostile {
		return
	}
	c.form.illegal = true
	c.form.idInTypes = c.server.draw(c, "ids in types", 0.5)
	if c.server.draw(c, "prefixes", hostileFormOdds) {
		c.form.m, c.form.t, c.form.env = "q1", "q2", "soap"
		c.form.streamSOAP = true
	}
	c.form.reversed = c.server.draw(c, "attributes", hostileFormOdds)
}

// misbehave applies the faults that answer a request before it is looked at.
// It says whether it answered.
func (c *call) misbehave() bool {
	s := c.server
	if c.busyAnswer() {
		return true
	}
	if f, ok := c.strike("ews.503"); ok {
		c.w.Header().Set("Retry-After", fmt.Sprint(f.Int("retry_after", 5)))
		c.entry.Reason = "503"
		c.plainText(http.StatusServiceUnavailable, "text/html; charset=us-ascii", "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\"\"http://www.w3.org/TR/html4/strict.dtd\">\r\n<HTML><HEAD><TITLE>Service Unavailable</TITLE></HEAD><BODY><h2>Service Unavailable</h2><hr><p>HTTP Error 503. The service is unavailable.</p></BODY></HTML>\r\n")
		return true
	}
	if _, ok := c.strike("ews.html500"); ok {
		c.entry.Reason = "500-html"
		c.plainText(http.StatusInternalServerError, "text/html; charset=utf-8", "<!DOCTYPE html>\r\n<html><head><title>Runtime Error</title></head><body><H1>Server Error in '/EWS' Application.<hr width=100% size=1 color=silver></H1><h2> <i>Runtime Error</i> </h2></body></html>")
		return true
	}
	if _, ok := c.strike("ews.302"); ok {
		c.entry.Reason = "302"
		c.w.Header().Set("Location", "/ews/genericerrorpage.htm?aspxerrorpath=/ews/exchange.asmx")
		c.plainText(http.StatusFound, "text/html; charset=utf-8", "<html><head><title>Object moved</title></head><body><h2>Object moved.</h2></body></html>")
		return true
	}
	if _, ok := c.strike("ews.401"); ok || s.draw(c, "401", hostile401Odds) {
		c.entry.Fault = "ews.401"
		c.unauthorized()
		return true
	}
	if f, ok := c.strike("ews.fault"); ok {
		code := f.Args["code"]
		if code == "" {
			code = "ErrorInternalServerError"
		}
		text := f.Args["text"]
		if text == "" {
			text = "An internal server error occurred. The operation failed."
		}
		c.fault(newFault(code, text))
		return true
	}
	switch c.magicPrefix() {
	case "denied":
		c.entry.Fault = "denied."
		c.fault(newFault("ErrorImpersonateUserDenied", "The account does not have permission to impersonate the requested user."))
		return true
	case "missing":
		c.entry.Fault = "missing."
		c.fault(newFault(exchange.CodeNonExistentMailbox, "The SMTP address has no mailbox associated with it."))
		return true
	}
	if _, ok := c.strike("ews.denied"); ok {
		c.fault(newFault("ErrorImpersonateUserDenied", "The account does not have permission to impersonate the requested user."))
		return true
	}
	return false
}

// delay slows an answer down.
func (c *call) delay() {
	var d time.Duration
	if f, ok := c.strike("ews.slow"); ok {
		d = f.Duration("delay", 2*time.Second)
	} else if c.magicPrefix() == "slow" {
		c.entry.Fault = "slow."
		d = magicSlow
	}
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.r.Context().Done():
	case <-c.server.closing:
	}
}

// refusal is a per-message error that a fault or the mailbox's state puts in
// place of the operation.
func (c *call) refusal() *exchange.Error {
	if c.server.magic.moving(c.magicPrefix(), c.mailbox) {
		c.entry.Fault = "moved."
		return &exchange.Error{Code: exchange.CodeMailboxMove, Text: "Mailbox move in progress. Try again later., Cannot open mailbox."}
	}
	if c.server.options.Faults == nil {
		return nil
	}
	for _, f := range c.server.options.Faults.List() {
		if f.Name != "ews.error" {
			continue
		}
		if op := f.Args["operation"]; op != "" && op != c.request.operation {
			return nil
		}
		if f, ok := c.strike("ews.error"); ok {
			e := &exchange.Error{Code: f.Args["code"], Text: f.Args["text"]}
			if e.Code == "" {
				e.Code = "ErrorInternalServerTransientError"
			}
			if e.Text == "" {
				e.Text = "An internal server error occurred. Try again later."
			}
			return e
		}
		return nil
	}
	return nil
}

// busy remembers who was told to wait, and until when.
type busy struct {
	mu    sync.Mutex
	until map[string]busyTime
}

type busyTime struct {
	at      time.Time
	backOff time.Duration
	message bool
}

func newBusy() *busy { return &busy{until: map[string]busyTime{}} }

// busyAnswer answers ErrorServerBusy when a fault says so, or when the caller
// comes back before the time it was told.
func (c *call) busyAnswer() bool {
	s := c.server
	key := c.mailbox
	if key == "" {
		key = c.identity.Account
	}
	now := time.Now()
	f, struck := c.strike("ews.busy")
	magic := !struck && c.magicPrefix() == "busy" && s.magic.count("busy", key) <= magicBusyTimes
	s.busy.mu.Lock()
	var b busyTime
	switch {
	case struck:
		b = busyTime{backOff: time.Duration(f.Int("ms", 5000)) * time.Millisecond, message: f.Args["form"] == "message"}
		if f.Args["extend"] != "false" {
			b.at = now.Add(b.backOff)
			s.busy.until[key] = b
		}
	case magic:
		c.entry.Fault = "busy."
		b = busyTime{backOff: magicBusyBackOff}
	default:
		var ok bool
		if b, ok = s.busy.until[key]; ok {
			if !now.Before(b.at) {
				delete(s.busy.until, key)
				ok = false
			} else {
				c.entry.Fault = "ews.busy"
				b.at = now.Add(b.backOff)
				s.busy.until[key] = b
			}
		}
		if !ok {
			s.busy.mu.Unlock()
			return false
		}
	}
	s.busy.mu.Unlock()
	const text = "The server cannot service this request right now. Try again later."
	if b.message && c.request.operation != "GetStreamingEvents" {
		c.entry.Reason = exchange.CodeServerBusy
		d := answer(c.form, s.behaviour, c.request.operation)
		d.message(c.request.operation, &exchange.Error{
			Code: exchange.CodeServerBusy,
			Text: fmt.Sprintf("%s, Suggested backoff time %d ms.", text, b.backOff.Milliseconds()),
		}, nil)
		c.ok(d.finish(c.request.operation))
		return true
	}
	c.fault(newFault(exchange.CodeServerBusy, text, exchange.Value{Name: "BackOffMilliseconds", Text: fmt.Sprint(b.backOff.Milliseconds())}))
	return true
}

// What magic mailboxes do; the package comment lists them.
const (
	magicBusyTimes   = 3
	magicBusyBackOff = 2 * time.Second
	magicMoveFor     = 10 * time.Second
	magicSlow        = 3 * time.Second
	magicCutAt       = 3
)

// magicPrefix is the first label of the target's local part.
func (c *call) magicPrefix() string { return magicPrefix(c.mailbox) }

func magicPrefix(address string) string {
	local, _, _ := strings.Cut(address, "@")
	prefix, rest, ok := strings.Cut(local, ".")
	if !ok || rest == "" {
		return ""
	}
	switch prefix {
	case "busy", "moved", "slow", "gone", "cut", "silent", "denied", "missing":
		return prefix
	}
	return ""
}

// magic counts, and remembers when it first heard of something.
type magic struct {
	mu     sync.Mutex
	counts map[asked]uint64
	first  map[string]time.Time
}

func newMagic() *magic {
	return &magic{counts: map[asked]uint64{}, first: map[string]time.Time{}}
}

// asked is what was asked, and about whom.
type asked struct{ what, key string }

// count is how often it was asked, this time included.
func (m *magic) count(what, key string) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.counts) > magicMax {
		clear(m.counts)
	}
	m.counts[asked{what, key}]++
	return m.counts[asked{what, key}]
}

func (m *magic) moving(prefix, address string) bool {
	if prefix != "moved" {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.first[address]; !ok && len(m.first) < magicMax {
		m.first[address] = time.Now()
	}
	return time.Since(m.first[address]) < magicMoveFor
}

// recent remembers when items were first told of, for those that are not there
// yet.
type recent struct {
	mu   sync.Mutex
	told map[string]time.Time
}

func newRecent() *recent { return &recent{told: map[string]time.Time{}} }

func (r *recent) add(item string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.told) > magicMax {
		clear(r.told)
	}
	if _, again := r.told[item]; !again {
		r.told[item] = time.Now()
	}
}

func (r *recent) within(item string, d time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.told[item]
	return ok && time.Since(at) < d
}
