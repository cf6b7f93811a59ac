package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/wns"
)

// wnsClient is what is needed of *wns.Client.
type wnsClient interface {
	Send(context.Context, wns.Request) wns.Response
}

// WNSSender sends to Windows devices. Each app is a way of its own.
//
// After a toast that was taken it sends the unread count as a badge, to
// registrations that take badges. A badge is never repeated: what becomes of it
// changes nothing about the toast, and the next one supersedes it.
type WNSSender struct {
	clients map[string]wnsClient
	badges  *badges
}

var (
	_ Sender = (*WNSSender)(nil)
	_ Ways   = (*WNSSender)(nil)
)

// NewWNSSender sends with the client of each app, by the app's name in the
// configuration. A registration that names no app means the only one. The
// clients stay the caller's to close.
func NewWNSSender(clients map[string]*wns.Client) *WNSSender {
	s := &WNSSender{clients: make(map[string]wnsClient, len(clients)), badges: newBadges()}
	for name, c := range clients {
		s.clients[name] = c
	}
	return s
}

// Ways implements Ways.
func (s *WNSSender) Ways() []string {
	names := []string{}
	for name := range s.clients {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Way implements Ways.
func (s *WNSSender) Way(r notifier.Registration) string {
	if r.WNS == nil {
		return ""
	}
	if r.WNS.App == "" && len(s.clients) == 1 {
		for name := range s.clients {
			return name
		}
	}
	return r.WNS.App
}

// Send implements Sender.
func (s *WNSSender) Send(ctx context.Context, p notifier.Push, r notifier.Registration) notifier.Receipt {
	if r.WNS == nil {
		return failed(p, notifier.ReasonWiped, errors.New("deliver: the registration has no WNS address"))
	}
	client := s.clients[s.Way(r)]
	if client == nil {
		return failed(p, ReasonNoApp, fmt.Errorf("deliver: no WNS client for the app %q; configure push.wns for it", r.WNS.App))
	}
	if p.Update {
		return s.sendBadge(ctx, client, p, r)
	}
	a := client.Send(ctx, wns.Request{
		Channel: string(r.WNS.Channel), Type: wns.Toast, Body: p.Payload, TTL: ttl(p), Tag: p.Tag,
	})
	receipt := notifier.NewReceipt(p, verdictOfWNS(a.Action), a.Reason, time.Now().UTC())
	receipt.Status, receipt.ProviderID = a.Status, a.MessageID
	receipt.RetryAfter, receipt.Err = a.RetryAfter, a.Err
	if receipt.Verdict == notifier.Delivered {
		receipt.Reason = notifier.ReasonAccepted
		if p.Badge != nil && r.WNS.Badge {
			s.badges.send(p, func(count int) { client.Send(ctx, badgeRequest(p, r, count)) })
		}
	}
	return receipt
}

// sendBadge sends an unread count without a toast.
func (s *WNSSender) sendBadge(ctx context.Context, client wnsClient, p notifier.Push, r notifier.Registration) notifier.Receipt {
	receipt := notifier.NewReceipt(p, notifier.Delivered, notifier.ReasonAccepted, time.Now().UTC())
	if p.Badge == nil || !r.WNS.Badge {
		return receipt
	}
	s.badges.send(p, func(count int) {
		a := client.Send(ctx, badgeRequest(p, r, count))
		receipt.Verdict, receipt.Reason, receipt.Status = verdictOfWNS(a.Action), a.Reason, a.Status
		receipt.RetryAfter, receipt.Err = a.RetryAfter, a.Err
	})
	return receipt
}

func badgeRequest(p notifier.Push, r notifier.Registration, count int) wns.Request {
	return wns.Request{Channel: string(r.WNS.Channel), Type: wns.Badge, TTL: ttl(p), Body: []byte(`<badge value="` + strconv.Itoa(count) + `"/>`)}
}

// ttl is how long the push is worth showing: at least a second, because zero
// would mean without end.
func ttl(p notifier.Push) time.Duration {
	return min(max(time.Until(p.Expires), time.Second), wns.TTLMax)
}

// verdictOfWNS is one to one; what is not an action is tried again.
func verdictOfWNS(a wns.Action) notifier.Verdict {
	switch a {
	case wns.Delivered:
		return notifier.Delivered
	case wns.Drop:
		return notifier.Drop
	case wns.Forget:
		return notifier.Forget
	case wns.Pause:
		return notifier.Pause
	}
	return notifier.Retry
}
