package fakes

import (
	"fmt"
	"log/slog"
	"time"

	"mailbell/fakes/exchange"
	"mailbell/fakes/fakeews"
	"mailbell/fakes/fault"
	"mailbell/fakes/network"
)

// MailboxesMax bounds the mailboxes a world is started with.
const MailboxesMax = 200_000

// ListenersMax bounds the listener accounts.
const ListenersMax = 200

// Options choose a world. The zero value is a small calm one on loopback.
type Options struct {
	Version   exchange.Version // empty: 2019
	Profile   fault.Profile    // empty: calm
	Seed      int64            // of everything drawn
	Domain    string           // empty: contoso.test
	Servers   []string         // Exchange servers; empty: ex01, ex02
	Mailboxes int              // user00001@… onwards, besides the named ones
	Named     []string         // local parts of further mailboxes, "taro"

	Network      network.Network // nil: loopback, closed with the world
	Heartbeat    time.Duration   // of streams; 0: fakeews.HeartbeatDefault
	EventLatency time.Duration   // how long Exchange takes to tell an event
	Password     string          // of the listener accounts; empty: made up
	Listeners    int             // listener accounts; 0: one
	Schemes      []string        // authentication on offer; nil: Negotiate, NTLM
	Unthrottled  bool            // no budgets
	// CPU charges CPU time as well; nil: it is free.
	CPU *exchange.CPUBudget
	// Fixed binds servers to given loopback addresses, by service name as in
	// Ready ("control": "127.0.0.1:8080"); only with the default network.
	Fixed map[string]string
	// Advertise is the host name or address under which clients reach the
	// servers, in Ready and on the certificates; empty: the loopback address.
	Advertise string
	Logger    *slog.Logger // nil: silent
}

func (o *Options) complete() error {
	if o.Mailboxes < 0 || o.Mailboxes > MailboxesMax {
		return fmt.Errorf("fakes: Mailboxes: %d; 0 to %d is allowed", o.Mailboxes, MailboxesMax)
	}
	if o.Listeners < 0 || o.Listeners > ListenersMax {
		return fmt.Errorf("fakes: Listeners: %d; 0 to %d is allowed", o.Listeners, ListenersMax)
	}
	if o.Listeners == 0 {
		o.Listeners = 1
	}
	if o.Profile == "" {
		o.Profile = fault.Calm
	}
	if o.Domain == "" {
		o.Domain = "contoso.test"
	}
	if len(o.Servers) == 0 {
		o.Servers = []string{"ex01", "ex02"}
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = fakeews.HeartbeatDefault
	}
	if o.Password == "" {
		o.Password = fmt.Sprintf("correct horse %08x", uint64(o.Seed)*0x9e3779b97f4a7c15>>32)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}
