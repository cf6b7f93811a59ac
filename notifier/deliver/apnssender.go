package deliver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/apns"
)

// apnsPriority is delivery at once (Apple "Sending notification requests to
// APNs": apns-priority).
const apnsPriority = 10

// apnsConsiderate is delivery when it suits the battery, for what lights up
// nothing.
const apnsConsiderate = 5

// Reasons of this package in a receipt, for a device that no client leads to.
const (
	ReasonNoEnvironment = "environment-not-configured"
	ReasonNoApp         = "app-not-configured"
)

// apnsClient is what is needed of *apns.Client.
type apnsClient interface {
	Push(context.Context, apns.Request) apns.Response
}

// APNsSender sends to iPhones. Each environment is a way of its own.
type APNsSender struct {
	clients map[notifier.Environment]apnsClient
}

var (
	_ Sender = (*APNsSender)(nil)
	_ Ways   = (*APNsSender)(nil)
)

// NewAPNsSender sends with the client of each environment. The clients stay
// the caller's to close.
func NewAPNsSender(clients map[notifier.Environment]*apns.Client) *APNsSender {
	s := &APNsSender{clients: make(map[notifier.Environment]apnsClient, len(clients))}
	for e, c := range clients {
		s.clients[e] = c
	}
	return s
}

// Ways implements Ways.
func (s *APNsSender) Ways() []string {
	names := []string{}
	for e := range maps.Keys(s.clients) {
		names = append(names, string(e))
	}
	slices.Sort(names)
	return names
}

// Way implements Ways.
func (s *APNsSender) Way(r notifier.Registration) string {
	if r.APNs == nil {
		return ""
	}
	return string(r.APNs.Environment)
}

// Send implements Sender.
func (s *APNsSender) Send(ctx context.Context, p notifier.Push, r notifier.Registration) notifier.Receipt {
	if r.APNs == nil {
		return failed(p, notifier.ReasonWiped, errors.New("deliver: the registration has no APNs address"))
	}
	client := s.clients[r.APNs.Environment]
	if client == nil {
		return failed(p, ReasonNoEnvironment, fmt.Errorf("deliver: no APNs client for the environment %q; configure push.apns for it", r.APNs.Environment))
	}
	priority := apnsPriority
	if p.Update {
		priority = apnsConsiderate
	}
	a := client.Push(ctx, apns.Request{
		Token: string(r.APNs.Token), Topic: r.APNs.Topic, Payload: p.Payload, ID: p.ID.UUID(),
		CollapseID: p.CollapseID, Expiration: p.Expires, Priority: priority, PushType: "alert",
	})
	receipt := notifier.NewReceipt(p, verdictOfAPNs(a.Action), a.Reason, time.Now().UTC())
	receipt.Status, receipt.ProviderID = a.Status, a.ID
	receipt.RetryAfter, receipt.GoneSince, receipt.Err = a.RetryAfter, a.Timestamp, a.Err
	if receipt.Verdict == notifier.Delivered {
		receipt.Reason = notifier.ReasonAccepted
	}
	return receipt
}

// verdictOfAPNs is one to one; what is not an action is tried again.
func verdictOfAPNs(a apns.Action) notifier.Verdict {
	switch a {
	case apns.Delivered:
		return notifier.Delivered
	case apns.Drop:
		return notifier.Drop
	case apns.Forget:
		return notifier.Forget
	case apns.Pause:
		return notifier.Pause
	}
	return notifier.Retry
}

// failed is the receipt of a push that cannot be sent, now or ever.
func failed(p notifier.Push, reason string, err error) notifier.Receipt {
	r := notifier.NewReceipt(p, notifier.Drop, reason, time.Now().UTC())
	r.Err = err
	return r
}
