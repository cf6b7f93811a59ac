package fakes

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"mailbell/fakes/control"
	"mailbell/fakes/fakeapns"
	"mailbell/fakes/fakewns"
)

// pushes lets the control API act on push services.
type pushes struct{ w *World }

// Push does what a verb of the control API asks for.
func (p pushes) Push(service, verb string, r control.PushRequest) (any, error) {
	switch service {
	case "apns":
		return apnsVerb(p.w.APNs, verb, r)
	case "apns_sandbox":
		return apnsVerb(p.w.Sandbox, verb, r)
	}
	return wnsVerb(p.w.WNS, verb, r)
}

func apnsVerb(s *fakeapns.Server, verb string, r control.PushRequest) (any, error) {
	code, err := fakeapns.ParseCode(r.Code)
	if err != nil {
		return nil, fmt.Errorf("code: %w", err)
	}
	switch verb {
	case "refuse":
		if r.Reason != "" && r.Status == 0 && fakeapns.StatusOf(r.Reason) == 0 {
			return nil, fmt.Errorf("reason: %q is none of Apple's; give a status with it", r.Reason)
		}
		s.Refuse(r.Device, fakeapns.Refusal{Status: r.Status, Reason: r.Reason, RetryAfter: time.Duration(r.RetryAfter), Count: r.Count})
	case "outage":
		s.Outage(r.Enabled())
	case "stall":
		s.Stall(r.Enabled())
	case "stop-reading":
		s.StopReading(r.Enabled())
	case "refuse-connections":
		s.RefuseConnections(r.Enabled())
	case "cut":
		return s.CutConnections(), nil
	case "drop-after":
		s.DropAfter(r.Count)
	case "goaway":
		g := fakeapns.GoAway{Code: code, Reason: r.Reason, Twice: r.Twice}
		switch r.Last {
		case "", "true":
		case "0":
			g.Zero = true
		default:
			if g.Lower, err = strconv.Atoi(r.Last); err != nil || g.Lower < 0 {
				return nil, fmt.Errorf("last: %q; true, 0 or a number of streams is allowed", r.Last)
			}
		}
		switch r.Close {
		case "", "after answers":
		case "now":
			g.Now = true
		case "never":
			g.Never = true
		default:
			return nil, fmt.Errorf("close: %q; after answers, now or never is allowed", r.Close)
		}
		return s.End(g), nil
	case "reset-next":
		if r.Code == "" {
			code, _ = fakeapns.ParseCode("REFUSED_STREAM") // a name that is known
		}
		s.ResetNext(max(r.Count, 1), code)
	case "max-streams":
		if r.Count == 0 {
			return nil, fmt.Errorf("count: at least one stream is needed")
		}
		s.SetMaxStreams(uint32(r.Count))
	case "latency":
		s.SetLatency(time.Duration(r.Delay))
	case "remove-key":
		if !s.RemoveKey(r.Key) {
			return nil, fmt.Errorf("key: no provider key has the ID %q", r.Key)
		}
	default:
		return nil, fmt.Errorf("verb: %q is not known", verb)
	}
	return true, nil
}

func wnsVerb(s *fakewns.Server, verb string, r control.PushRequest) (any, error) {
	switch verb {
	case "throttle":
		s.Throttle(r.Enabled(), time.Duration(r.RetryAfter))
	case "revoke-tokens":
		s.RevokeTokens()
	case "refuse-app":
		refusal, ok := map[string]fakewns.Refusal{"": fakewns.NotAllowed, "not-allowed": fakewns.NotAllowed, "bare": fakewns.Bare, "none": fakewns.NoRefusal}[strings.ToLower(r.Reason)]
		if !ok {
			return nil, fmt.Errorf("reason: %q; not-allowed, bare or none is allowed", r.Reason)
		}
		s.RefuseApp(WNSApp, refusal)
	default:
		return nil, fmt.Errorf("verb: %q is not known", verb)
	}
	return true, nil
}

// reset takes the world back to what it was when Start returned: mailboxes that
// were added since are gone, too. Every server goes on listening.
func (w *World) reset() {
	for _, reset := range w.resets {
		reset()
	}
	for _, s := range []*fakeapns.Server{w.APNs, w.Sandbox} {
		s.Reset()
	}
	w.WNS.Reset()
	w.site.Unlock(w.ListenerUser())
}

// pushState is what GET /state tells of the push services.
func (w *World) pushState() any {
	return map[string]any{"apns": w.APNs.Stats(), "apns_sandbox": w.Sandbox.Stats(), "wns": w.WNS.Stats()}
}
