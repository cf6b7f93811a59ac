package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"mailbell/fakes/fakeapns"
)

const (
	// moveTook is how long a mailbox is on its way. A notifier that meets it
	// meanwhile is told so, and comes back after half a minute.
	moveTook = 200 * time.Millisecond
	// outageRetry is what APNs asks for in an outage. Without that, senders wait
	// a quarter of an hour.
	outageRetry = 3 * time.Second
)

// action is something a person does to the lab. It returns what to say.
type action func(ctx context.Context, p *page) (string, error)

// actions by the names that the page uses.
var actions = map[string]action{
	"cut": func(_ context.Context, p *page) (string, error) {
		return count(p.lab.World.Organisation.CutStreams(""), "stream") + " cut without a word", nil
	},
	"move": func(_ context.Context, p *page) (string, error) { return p.move() },
	"restart": func(_ context.Context, p *page) (string, error) {
		org := p.lab.World.Organisation
		for _, server := range org.Servers() {
			if err := org.RestartServer(server); err != nil {
				return "", err
			}
		}
		return count(len(org.Servers()), "Exchange server") + " restarted; streams and subscriptions are gone", nil
	},
	"outage": func(_ context.Context, p *page) (string, error) {
		p.outage(fakeapns.Refusal{Reason: "ServiceUnavailable", RetryAfter: outageRetry})
		return fmt.Sprintf("APNs answers 503 until the outage ends, and asks to try again after %v", outageRetry), nil
	},
	"heal": func(_ context.Context, p *page) (string, error) {
		p.outage(fakeapns.Refusal{})
		return "APNs is back; the notifier finds out at its next try", nil
	},
	"kill": func(_ context.Context, p *page) (string, error) {
		if err := p.lab.Notifier.Kill(); err != nil {
			return "", conflict(err)
		}
		return "killed as by kill -9; mail that arrives now is announced after the start", nil
	},
	"start": func(ctx context.Context, p *page) (string, error) {
		if err := p.lab.Notifier.Start(ctx); err != nil {
			return "", conflict(err)
		}
		return "the notifier runs again and looks for what it missed", nil
	},
}

// conflict says that an action came at the wrong moment.
func conflict(err error) error {
	if errors.Is(err, errRunning) || errors.Is(err, errNotRunning) || errors.Is(err, errClosing) {
		return fmt.Errorf("%w: %w", errConflict, err)
	}
	return err
}

var errConflict = errors.New("not now")

// move moves the next mailbox in turn to the next server.
func (p *page) move() (string, error) {
	p.mu.Lock()
	mailboxes := p.lab.Mailboxes()
	address := mailboxes[p.moved%len(mailboxes)]
	p.moved++
	p.mu.Unlock()
	org := p.lab.World.Organisation
	settings, ok := org.Settings(address)
	if !ok {
		return "", fmt.Errorf("no mailbox %s", address)
	}
	for _, server := range org.Servers() {
		if !strings.EqualFold(org.ServerFQDN(server), settings.ServerFQDN) {
			return fmt.Sprintf("%s moves to %s", address, server), org.Move(address, server, moveTook)
		}
	}
	return "", errors.New("there is one server only")
}

// outage makes APNs refuse everything; the zero refusal ends it.
func (p *page) outage(r fakeapns.Refusal) {
	on := r.Reason != ""
	p.lab.World.APNs.Refuse("", r)
	p.mu.Lock()
	p.out = on
	p.mu.Unlock()
	kind, text := "bad", "APNs outage begins"
	if !on {
		kind, text = "good", "APNs outage is over"
	}
	p.hub.Publish(newsEvent{At: time.Now(), Kind: kind, Text: text})
	p.show()
}
