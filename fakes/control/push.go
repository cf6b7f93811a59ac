package control

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"mailbell/fakes/fault"
)

// journalTakes documents the query of GET /journal.
var journalTakes = map[string]string{
	"after": "sequence number, 0 by default", "limit": "entries, 10000 at most", "wait": "how long to wait for the first one, such as 30s; 60s at most",
	"server, kind, mailbox, device, account, operation": "filters: values with commas between them; device may be given several times instead",
}

// pushTakes documents the verbs of the push services.
var pushTakes = map[string]string{
	"apns refuse":             "device (all by default), reason, status, retry_after, count; without reason and status it is lifted",
	"apns outage":             "on (true by default): 503 to everything",
	"apns stall":              "on: requests are read and not looked at; off: they are, in their order",
	"apns stop-reading":       "on: the present connections are dead peers, not even a PING is answered",
	"apns refuse-connections": "on: connections are reset before a word",
	"apns cut":                "resets all connections",
	"apns drop-after":         "count: every new connection is reset at that request; 0 ends it",
	"apns goaway":             "reason, code (NO_ERROR), last (true, 0, or how many streams fewer are told), twice, close (after answers, now, never)",
	"apns reset-next":         "count (1), code (REFUSED_STREAM): RST_STREAM for the next requests",
	"apns max-streams":        "count: SETTINGS on all connections",
	"apns latency":            "delay of each answer; 0s ends it",
	"apns remove-key":         "key: the ID of a provider key that is revoked",
	"wns throttle":            "on, retry_after (15m): 406 to everything",
	"wns revoke-tokens":       "no access token is good any more",
	"wns refuse-app":          "reason: not-allowed (default), bare, or none to lift it",
}

// PushControl makes push services behave as a whole.
type PushControl interface {
	// Push does it. Errors name the field that is wrong.
	Push(service, verb string, r PushRequest) (any, error)
}

// PushRequest is the body of a push call; each verb reads its own fields.
type PushRequest struct {
	On         *bool          `json:"on"`
	Device     string         `json:"device"`
	Reason     string         `json:"reason"`
	Status     int            `json:"status"`
	RetryAfter fault.Duration `json:"retry_after"`
	Delay      fault.Duration `json:"delay"`
	Count      int            `json:"count"`
	Code       string         `json:"code"`
	Last       string         `json:"last"`
	Twice      bool           `json:"twice"`
	Close      string         `json:"close"`
	Key        string         `json:"key"`
}

// Enabled is what On says, true by default.
func (r PushRequest) Enabled() bool { return r.On == nil || *r.On }

// Limits of a push call.
const (
	pushCountMax = 1_000_000
	pushDelayMax = fault.Duration(10 * 60 * 1e9) // 10 minutes
)

func (a *API) push(_ http.ResponseWriter, r *http.Request) (any, error) {
	if a.opt.Push == nil {
		return nil, fmt.Errorf("push: %w", errNotFound)
	}
	service, verb := r.PathValue("service"), r.PathValue("verb")
	family := strings.TrimSuffix(service, "_sandbox")
	if _, known := pushTakes[family+" "+verb]; !known || service == "wns_sandbox" {
		return nil, fmt.Errorf("%s %s: %w; there are %s", service, verb, errNotFound, strings.Join(pushVerbs(), ", "))
	}
	var in PushRequest
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	switch {
	case in.Count < 0 || in.Count > pushCountMax:
		return nil, fmt.Errorf("count: %d; 0 to %d is allowed", in.Count, pushCountMax)
	case in.Delay < 0 || in.Delay > pushDelayMax:
		return nil, fmt.Errorf("delay: 0s to 10m is allowed")
	case in.RetryAfter < 0:
		return nil, fmt.Errorf("retry_after: must not be negative")
	case in.Status != 0 && (in.Status < 200 || in.Status > 599):
		return nil, fmt.Errorf("status: %d; 200 to 599 is allowed", in.Status)
	}
	out, err := a.opt.Push.Push(service, verb, in)
	if err != nil {
		return nil, err
	}
	a.record(r, map[string]string{"service": service, "verb": verb})
	return map[string]any{verb: out}, nil
}

func pushVerbs() []string {
	var out []string
	for name := range pushTakes {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func (a *API) authority(http.ResponseWriter, *http.Request) (any, error) {
	return pemFile(a.opt.Authority)
}

func (a *API) providerKey(http.ResponseWriter, *http.Request) (any, error) {
	return pemFile(a.opt.ProviderKey)
}

func pemFile(f func() []byte) (any, error) {
	if f == nil {
		return nil, errNotFound
	}
	return document{"application/x-pem-file", f()}, nil
}
