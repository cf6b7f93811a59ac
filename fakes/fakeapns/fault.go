package fakeapns

import (
	"time"

	"golang.org/x/net/http2"

	"mailbell/fakes/fault"
	"mailbell/fakes/journal"
)

// The faults, by name. The package comment tells what each does.
const (
	faultReset      = "apns.reset"
	faultStall      = "apns.stall"
	faultGoAway     = "apns.goaway"
	faultRefuse     = "apns.refuse-stream"
	fault503        = "apns.503"
	fault429        = "apns.429"
	faultHTML       = "apns.html"
	faultLate410    = "apns.late410"
	faultSlow       = "apns.slow"
	faultLostAnswer = "apns.lost-answer"
	faultHalfAnswer = "apns.half-answer"
	faultAnswer     = "apns.answer"
	faultBody       = "apns.body"
	faultRedirect   = "apns.redirect"
	faultDeaf       = "apns.deaf"

	faultRefuseConn = "apns.refuse-connection"
	faultHandshake  = "apns.handshake"
)

// faultNames is the order in which faults are asked for; the first one that
// strikes is the only one.
var faultNames = []string{
	faultReset, faultDeaf, faultStall, faultGoAway, faultRefuse, fault503, fault429, faultAnswer, faultHTML, faultBody, faultRedirect,
	faultLate410, faultSlow, faultLostAnswer, faultHalfAnswer,
}

// hostile is how often a hostile server misbehaves unasked, per request.
var hostile = []struct {
	name  string
	share float64
}{
	{faultSlow, 0.01}, {faultRefuse, 0.005}, {fault503, 0.002}, {faultGoAway, 0.001}, {faultReset, 0.0005}, {faultLostAnswer, 0.0005}, {faultStall, 0.0002},
}

// Defaults of the faults' arguments.
const (
	slowDefault = 5 * time.Second
	agoDefault  = time.Hour
)

// misbehaviour is the fault that strikes this request; its name is empty when
// none does.
func (s *Server) misbehaviour(scope fault.Scope) fault.Fault {
	if s.o.Faults != nil {
		for _, name := range faultNames {
			if f, ok := s.o.Faults.Strikes(name, scope); ok {
				return f
			}
		}
	}
	if s.o.Profile != fault.Hostile {
		return fault.Fault{}
	}
	s.mu.Lock()
	s.drawn++
	n := s.drawn
	s.mu.Unlock()
	x := fault.Uniform(s.o.Seed, "apns hostile "+s.o.Environment, n)
	for _, h := range hostile {
		if x < h.share {
			return fault.Fault{Name: h.name}
		}
		x -= h.share
	}
	return fault.Fault{}
}

// interrupt does what a fault does to a request that nobody looks at. It says
// whether that was its end.
func (s *Server) interrupt(c *conn, r *request, f fault.Fault) bool {
	switch f.Name {
	case faultReset:
		c.cut()
	case faultStall:
		if d := f.Duration("for", 0); d > 0 {
			c.after(d, func() { s.judge(c, r, fault.Fault{}) })
		}
	case faultDeaf:
		c.listen(false)
	case faultRefuse:
		c.abandon(r.stream)
		c.out.reset(r.stream, codeOf(f.Args["code"], http2.ErrCodeRefusedStream))
	case faultGoAway:
		reason := f.Args["reason"]
		if reason == "" {
			reason = "Shutdown"
		}
		c.end(GoAway{Reason: reason, Code: codeOf(f.Args["code"], http2.ErrCodeNo), Zero: f.Args["last"] == "0"})
		if c.isOpen(r.stream) {
			return false // a later stream was looked at before: this one is covered
		}
	default:
		return false
	}
	s.o.Journal.Append(journal.Entry{Time: r.arrived, Server: "apns", Kind: "fault", Device: r.token(), Conn: c.number, Fault: f.Name})
	return true
}

// answered is the answer that a fault gives in place of the rules'.
func answered(f fault.Fault) verdict {
	var v verdict
	switch f.Name {
	case fault503:
		v = refuse("ServiceUnavailable")
	case fault429:
		v = refuse("TooManyRequests")
	case faultHTML:
		v = verdict{status: f.Int("status", 502), form: formHTML}
	case faultAnswer, faultBody:
		reason := f.Args["reason"]
		if reason == "" {
			reason = "InternalServerError"
		}
		v = refuse(reason)
		v.status = f.Int("status", max(v.status, 400))
		v.form = f.Args["form"]
	case faultRedirect:
		v = verdict{status: 307, location: "https://api.push.apple.com/elsewhere"}
	default:
		return v
	}
	v.retryAfter = f.Duration("retry-after", 0)
	return v
}
