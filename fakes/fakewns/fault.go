package fakewns

import (
	"net/http"
	"time"

	"mailbell/fakes/fault"
)

// The faults, by name. The package comment tells what each does.
const (
	faultReset            = "wns.reset"
	fault406              = "wns.406"
	fault429              = "wns.429"
	fault500              = "wns.500"
	fault503              = "wns.503"
	faultSlow             = "wns.slow"
	faultLostAnswer       = "wns.lost-answer"
	faultDropped          = "wns.dropped"
	faultChannelThrottled = "wns.channelthrottled"

	faultToken503  = "wns.token-503"
	faultTokenHTML = "wns.token-html"
	faultTokenSlow = "wns.token-slow"
)

// faultNames is the order in which a push's faults are asked for.
var faultNames = []string{faultReset, fault406, fault429, fault500, fault503, faultSlow, faultLostAnswer, faultDropped, faultChannelThrottled}

// hostile is how often a hostile server misbehaves unasked, per request.
var hostile = []struct {
	name  string
	share float64
}{
	{faultSlow, 0.01}, {fault503, 0.005}, {fault500, 0.002}, {faultReset, 0.001}, {faultLostAnswer, 0.0005},
}

// Latency of the profiles that are not calm.
const (
	latencyLeast = 5 * time.Millisecond
	latencySpan  = 55 * time.Millisecond
)

// misbehaviour is the fault that strikes a push; its name is empty when none
// does.
func (s *Server) misbehaviour(scope fault.Scope) fault.Fault {
	for _, name := range faultNames {
		if f, ok := s.o.Faults.Strikes(name, scope); ok {
			return f
		}
	}
	s.mu.Lock()
	s.drawn++
	n := s.drawn
	s.mu.Unlock()
	if s.o.Profile != fault.Hostile {
		return fault.Fault{}
	}
	x := fault.Uniform(s.o.Seed, "wns hostile", n)
	for _, h := range hostile {
		if x < h.share {
			return fault.Fault{Name: h.name}
		}
		x -= h.share
	}
	return fault.Fault{}
}

// answered is the answer that a fault gives in place of the rules'.
func answered(f fault.Fault) verdict {
	throttled := func(status int) verdict {
		return verdict{
			status: status, notification: "appthrottled", retryAfter: f.Duration("retry-after", RetryAfterDefault),
			description: "App is throttled. Wait for the seconds of the value in Retry-After header and try again",
		}
	}
	switch f.Name {
	case fault406:
		return throttled(http.StatusNotAcceptable)
	case fault429:
		return throttled(http.StatusTooManyRequests)
	case fault500:
		return verdict{status: http.StatusInternalServerError}
	case fault503:
		return verdict{status: http.StatusServiceUnavailable, retryAfter: f.Duration("retry-after", 0)}
	}
	return verdict{}
}

// delay is how long the next answer takes. Called with mu held.
func (s *Server) delay() time.Duration {
	if s.o.Profile == fault.Calm {
		return 0
	}
	return latencyLeast + time.Duration(fault.Uniform(s.o.Seed, "wns latency", s.drawn)*float64(latencySpan))
}

// pause waits. It says no when the client has gone.
func pause(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// cut ends the connection without an answer. The server's own way of doing so
// logs nothing.
func cut(http.ResponseWriter) { panic(http.ErrAbortHandler) }
