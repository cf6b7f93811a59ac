package loadgen

import (
	"context"
	"fmt"
	"net/http"
	"sync"
)

// enrolment gives the population push addresses and registers it.
type enrolment struct {
	control   *control
	push      readyPush
	api       *caller
	authority *authority
}

// addresses fills in the devices' push addresses.
func (e *enrolment) addresses(ctx context.Context, p *Population) error {
	return inParallel(ctx, enrolWorkers, len(p.Devices), func(ctx context.Context, i int) error {
		d := &p.Devices[i]
		a, err := e.control.address(ctx, d.Platform, e.push)
		d.Address = a
		return err
	})
}

// register registers the devices from one index up to another, each with a
// credential of its own.
func (e *enrolment) register(ctx context.Context, p *Population, from, to int) error {
	return inParallel(ctx, enrolWorkers, to-from, func(ctx context.Context, i int) error {
		d := p.Devices[from+i]
		return e.one(ctx, d, p.Mailboxes[d.Mailbox])
	})
}

// one registers a device.
func (e *enrolment) one(ctx context.Context, d Device, mailbox string) error {
	credential, err := e.authority.credential(d.ID, mailbox)
	if err != nil {
		return err
	}
	body := map[string]any{"platform": d.Platform, "mailbox": mailbox, "locale": "en"}
	if d.Platform == Windows {
		body["wns"] = map[string]string{"channel": d.Address, "app": e.push.WNSApp}
	} else {
		body["apns"] = map[string]string{"token": d.Address, "topic": e.push.Topic, "environment": "production"}
	}
	if err := e.api.do(ctx, http.MethodPut, "/v1/devices/"+d.ID, credential, body, nil); err != nil {
		return fmt.Errorf("register %s: %w", d.ID, err)
	}
	return nil
}

// wipe ends a registration.
func (e *enrolment) wipe(ctx context.Context, d Device, mailbox string) error {
	credential, err := e.authority.credential(d.ID, mailbox)
	if err != nil {
		return err
	}
	if err := e.api.do(ctx, http.MethodDelete, "/v1/devices/"+d.ID, credential, nil, nil); err != nil {
		return fmt.Errorf("wipe %s: %w", d.ID, err)
	}
	return nil
}

// inParallel does n things, so many at a time, and stops at the first error.
func inParallel(ctx context.Context, workers, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var all sync.WaitGroup
	for range min(workers, n) {
		all.Go(func() {
			for i := range next {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
feeding:
	for i := range n {
		select {
		case next <- i:
		case <-ctx.Done():
			break feeding
		}
	}
	close(next)
	all.Wait()
	return context.Cause(ctx)
}
