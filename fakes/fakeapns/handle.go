package fakeapns

import (
	"strconv"
	"strings"
	"time"

	"mailbell/fakes/fault"
	"mailbell/fakes/journal"
)

// handle decides a request and has it answered.
func (s *Server) handle(c *conn, r *request) {
	if s.hold(c, r) {
		return
	}
	if s.resetNext(c, r) {
		return
	}
	f := s.misbehaviour(fault.Scope{Server: "apns", Device: strings.ToLower(r.token())})
	if !s.interrupt(c, r, f) {
		s.judge(c, r, f)
	}
}

// judge decides a request that nothing interrupted.
func (s *Server) judge(c *conn, r *request, f fault.Fault) {
	if !c.take(r.stream) {
		return
	}
	v := s.decide(c, r, f)
	switch {
	case v.cut:
		c.cut()
	case v.delay > 0:
		c.after(v.delay, func() { c.answer(r.stream, &v) })
	default:
		c.answer(r.stream, &v)
	}
}

// hold keeps the request for later while the server is stalled.
func (s *Server) hold(c *conn, r *request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stalled {
		s.held = append(s.held, held{c, r})
	}
	return s.stalled
}

// decide finds the verdict, lets the device have an accepted push, and writes
// the journal. The lock makes one story of devices and journal.
func (s *Server) decide(c *conn, r *request, f fault.Fault) verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers++
	v := answered(f)
	if s.outage {
		v = refuse("ServiceUnavailable")
	}
	for i := 0; v.passed() && i < len(rules); i++ {
		v = rules[i](s, c, r)
	}
	if v.passed() && f.Name == faultLate410 {
		v = refuse("Unregistered")
		v.timestamp = r.arrived.Add(-f.Duration("ago", agoDefault))
	}
	if v.id = r.header["apns-id"]; !isUUID(v.id) {
		v.id = s.newID()
	}
	if v.passed() {
		v.status = 200
	}
	if v.status == 200 {
		v.effect = s.devices[strings.ToLower(r.token())].receive(r, v.id, s.transit())
		v.composition = strings.Join(r.payload.faults, "; ")
		s.stats.Accepted++
		c.trusted = true
	} else {
		s.stats.Rejected++
		if s.o.RejectionDropsToOne && v.points() > 0 {
			c.trusted = false
		}
		if c.points += v.points(); s.o.ErrorsMax > 0 && c.points >= s.o.ErrorsMax {
			v.last = true
		}
	}
	if s.o.Environment == Development {
		v.uniqueID = strings.ToLower(s.newID())
	}
	v.limit = s.limitOf(c)
	v.delay = s.delay()
	v.fault = f.Name
	if f.Name == faultSlow {
		v.delay += f.Duration("delay", slowDefault)
	}
	v.cut = f.Name == faultLostAnswer && v.status == 200
	v.half = f.Name == faultHalfAnswer
	s.record(c, r, &v)
	return v
}

// limitOf is how many streams the connection may have. Called with mu held.
func (s *Server) limitOf(c *conn) uint32 {
	if c.trusted {
		return s.max
	}
	return min(1, s.max)
}

// firstLimit is the limit of a new connection: a client certificate is trusted
// unseen, a token when a push with it was accepted.
func (s *Server) firstLimit(c *conn) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.trusted = c.certified
	return s.limitOf(c)
}

// Latency of the profiles that are not calm.
const (
	latencyLeast = 10 * time.Millisecond
	latencySpan  = 90 * time.Millisecond
)

// delay is how long the next answer takes. Called with mu held.
func (s *Server) delay() time.Duration {
	if s.latency > 0 || s.o.Profile == fault.Calm {
		return s.latency
	}
	return latencyLeast + time.Duration(fault.Uniform(s.o.Seed, "apns latency", s.answers)*float64(latencySpan))
}

// transit is how long the next accepted push is on its way to its device.
// Called with mu held.
func (s *Server) transit() time.Duration {
	if s.o.ReorderWithin <= 0 {
		return 0
	}
	s.sent++
	return time.Duration(fault.Uniform(s.o.Seed, "apns transit", s.sent) * float64(s.o.ReorderWithin))
}

// record writes the push into the journal. Called with mu held.
func (s *Server) record(c *conn, r *request, v *verdict) {
	detail := map[string]string{
		"apns_id": v.id, "topic": r.header["apns-topic"], "push_type": r.header["apns-push-type"],
		"stream": strconv.FormatUint(uint64(r.stream), 10), "environment": s.o.Environment,
	}
	for name, value := range map[string]string{
		"collapse_id": r.header["apns-collapse-id"], "expiration": r.header["apns-expiration"], "priority": r.header["apns-priority"],
		"effect": v.effect, "composition": v.composition, "headers": r.all, "certificate": c.certTopic,
	} {
		if value != "" {
			detail[name] = value
		}
	}
	if t, ok := strings.CutPrefix(r.header["authorization"], "bearer "); ok {
		if known, ok := s.tokens[t]; ok {
			detail["provider_token"] = known.hash
		}
	}
	s.o.Journal.Append(journal.Entry{
		Time: r.arrived, Server: "apns", Kind: "push", Device: r.token(), Conn: c.number, Operation: r.method + " " + devicePath,
		Status: v.status, Reason: v.reason, Fault: v.fault, Detail: detail, Body: rawJSON(r.body),
	})
}
