package client

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// NewIPhone makes a device known to APNs, online, and returns its token.
func (w *World) NewIPhone(ctx context.Context, d IPhone) (token string, err error) {
	var out struct {
		Token string `json:"token"`
	}
	err = w.call(ctx, http.MethodPost, "/devices/apns", d, &out)
	return out.Token, err
}

// NewChannel makes a WNS channel on a new device, which is online, and returns
// its URI.
func (w *World) NewChannel(ctx context.Context) (uri string, err error) {
	var out struct {
		Channel string `json:"channel"`
	}
	err = w.call(ctx, http.MethodPost, "/devices/wns", struct{}{}, &out)
	return out.Channel, err
}

// Retirement is how a token or channel dies. The zero value is an app that was
// removed just now: 410.
type Retirement struct {
	Reason string    // of a token: Unregistered, ExpiredToken; of a channel: expired, revoked (404), blocked
	At     time.Time // the moment that a token's 410 names; zero: now
}

// Retire makes a token or channel dead.
func (w *World) Retire(ctx context.Context, device string, r Retirement) error {
	in := map[string]any{"address": device, "reason": r.Reason}
	if !r.At.IsZero() {
		in["at"] = r.At
	}
	return w.call(ctx, http.MethodPost, "/devices/retire", in, nil)
}

// SetOnline brings a device on the network, which delivers what was stored for
// it, or takes it away.
func (w *World) SetOnline(ctx context.Context, device string, online bool) error {
	return w.call(ctx, http.MethodPost, "/devices/online", map[string]any{"address": device, "online": online}, nil)
}

// Shown is what a device shows and what waits for it, as JSON: of an iPhone
// topic, online, shown, badge, stored; of a channel app, online, toasts, badge,
// raws, stored.
func (w *World) Shown(ctx context.Context, device string) (json.RawMessage, error) {
	var out json.RawMessage
	err := w.call(ctx, http.MethodPost, "/devices/shown", map[string]any{"address": device}, &out)
	return out, err
}

// Push makes a push service behave as a whole: service is apns, apns_sandbox or
// wns, verb one of those that GET / lists, such as outage, stall, cut or
// goaway, and with the verb's fields:
//
//	world.Push(ctx, "apns", "goaway", map[string]any{"reason": "Shutdown"})
func (w *World) Push(ctx context.Context, service, verb string, with map[string]any) error {
	return w.call(ctx, http.MethodPost, "/push/"+service+"/"+verb, with, nil)
}
