package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/registry"
)

// put creates or renews a registration.
func (a *API) put(w http.ResponseWriter, r *http.Request, c credential, id notifier.DeviceID) {
	if c.admin {
		forbidden.with("an administrator's credential registers no device").write(w)
		return
	}
	body, bad := a.readBody(w, r)
	if bad != nil {
		bad.write(w)
		return
	}
	reg, bad := a.parse(body, id)
	switch {
	case bad != nil:
		bad.write(w)
		return
	case reg.Mailbox != c.mailbox:
		forbidden.with("the credential is for another mailbox", fieldProblem{"mailbox", "want the mailbox that the device was enrolled for"}).write(w)
		return
	case !a.opt.Approved(reg.Mailbox):
		notApproved.with("ask your administrator to approve the mailbox").write(w)
		return
	}
	unlock, err := a.locks.lock(r.Context(), "device "+string(id), "mailbox "+string(reg.Mailbox))
	if err != nil {
		a.failed("registration cannot be written", err).write(w)
		return
	}
	defer unlock()
	status, bad := a.store(r.Context(), &reg)
	if bad != nil {
		bad.write(w)
		return
	}
	writeJSON(w, "application/json", status, newAnswer(reg))
}

// store makes a registration durable and waits until this process knows it. It
// completes the times. The device's and the mailbox's locks are held.
func (a *API) store(ctx context.Context, reg *notifier.Registration) (status int, bad *problem) {
	old, _, err := a.opt.Registry.Get(ctx, reg.Device)
	known := err == nil
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		return 0, a.failed("registration cannot be read", err)
	}
	if bad := a.tooMany(*reg); bad != nil {
		return 0, bad
	}
	now := time.Now().UTC().Round(0) // without the monotonic part, which no store keeps
	reg.Created, reg.Confirmed = now, now
	if known && old.Mailbox == reg.Mailbox && old.Provider == reg.Provider {
		reg.Created = old.Created
	}
	revision, err := a.opt.Registry.Put(ctx, *reg)
	if err != nil {
		return 0, a.failed("registration cannot be written", err)
	}
	a.inView(ctx, func() bool {
		_, seen, ok := a.opt.View.Device(reg.Device)
		return ok && seen >= revision
	})
	a.log.Info("device registered", "device", reg.Device, "provider", reg.Provider, "address", reg.Address(), "new", !known)
	if known {
		return http.StatusOK, nil
	}
	return http.StatusCreated, nil
}

// tooMany refuses one device too many for a mailbox.
func (a *API) tooMany(reg notifier.Registration) *problem {
	most, others := a.opt.Limits.DevicesPerMailboxMax, 0
	for _, d := range a.opt.View.Mailbox(reg.Mailbox) {
		if d.Device != reg.Device {
			others++
		}
	}
	if others < most {
		return nil
	}
	return tooManyDevices.with(fmt.Sprintf("a mailbox has at most %d devices; remove one that is no longer used", most))
}

// inView waits a bounded time until what was written is in the view too, so
// that mail that arrives after the answer meets it. When it takes longer, the
// answer does not wait: what was written holds.
func (a *API) inView(ctx context.Context, seen func() bool) {
	ctx, done := context.WithTimeout(ctx, viewWait)
	defer done()
	for poll := viewPollMin; !seen(); poll = min(2*poll, viewPollMax) {
		t := time.NewTimer(poll)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			a.log.Warn("view is behind the registry")
			return
		}
	}
}

// get tells the registration of a device.
func (a *API) get(w http.ResponseWriter, r *http.Request, c credential, id notifier.DeviceID) {
	reg, _, err := a.opt.Registry.Get(r.Context(), id)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		notRegistered.with("register it with PUT").write(w)
	case err != nil:
		a.failed("registration cannot be read", err).write(w)
	case !c.admin && reg.Mailbox != c.mailbox:
		forbidden.with("the device is registered for another mailbox than the credential's").write(w)
	default:
		writeJSON(w, "application/json", http.StatusOK, newAnswer(reg))
	}
}

// delete wipes a device: first the registration, so that nothing new is
// composed, then what is queued and on its way. It goes on when the client
// leaves, and does everything again when it is repeated.
func (a *API) delete(w http.ResponseWriter, r *http.Request, _ credential, id notifier.DeviceID) {
	ctx, done := context.WithTimeout(context.WithoutCancel(r.Context()), removalTimeout)
	defer done()
	unlock, err := a.locks.lock(ctx, "device "+string(id))
	if err != nil {
		a.failed("registration cannot be removed", err).write(w)
		return
	}
	defer unlock()
	err = a.opt.Registry.Delete(ctx, id, 0)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		a.failed("registration cannot be removed", err).write(w)
		return
	}
	a.inView(ctx, func() bool {
		_, _, still := a.opt.View.Device(id)
		return !still
	})
	if err := a.opt.Wiped(ctx, id); err != nil {
		a.failed("what is queued cannot be removed", err).write(w)
		return
	}
	a.log.Info("device removed", "device", id, "had_registration", err == nil)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}

// notificationsAnswer is what became of mails, newest first.
type notificationsAnswer struct {
	Notifications []outcome `json:"notifications"`
}

// outcome is what became of one mail for the device.
type outcome struct {
	Notification notifier.NotificationID `json:"notification"`
	Push         notifier.PushID         `json:"push"`
	Mailbox      notifier.Mailbox        `json:"mailbox"`
	Item         notifier.ItemID         `json:"item"`
	Verdict      notifier.Verdict        `json:"verdict"`
	Reason       string                  `json:"reason"`
	Status       int                     `json:"status,omitempty"`
	ProviderID   string                  `json:"provider_id,omitempty"`
	Attempt      int                     `json:"attempt,omitempty"`
	Noticed      time.Time               `json:"noticed"`
	At           time.Time               `json:"at"`
}

// notifications tells what became of the mails of a device, or why there was no
// push. A device that is not registered any more may still ask; it hears of the
// mailbox of its credential only.
func (a *API) notifications(w http.ResponseWriter, r *http.Request, c credential, id notifier.DeviceID) {
	limit := notificationsDefault
	if q := r.URL.Query(); q.Has("limit") {
		n, err := strconv.Atoi(q.Get("limit"))
		if err != nil || n < 1 || n > notificationsMax {
			invalidRequest.with("the query is not valid", fieldProblem{"limit", fmt.Sprintf("want a number from 1 to %d", notificationsMax)}).write(w)
			return
		}
		limit = n
	}
	// Others' mailboxes are left out, so more than limit has to be looked at.
	receipts, err := a.opt.Ledger.Device(r.Context(), id, 0)
	if err != nil {
		a.failed("receipts cannot be read", err).write(w)
		return
	}
	out := notificationsAnswer{Notifications: []outcome{}}
	for _, rc := range receipts {
		if len(out.Notifications) == limit {
			break
		}
		if c.admin || rc.Mailbox == c.mailbox {
			out.Notifications = append(out.Notifications, outcome{
				Notification: rc.Notification, Push: rc.Push, Mailbox: rc.Mailbox, Item: rc.Item, Verdict: rc.Verdict,
				Reason: rc.Reason, Status: rc.Status, ProviderID: rc.ProviderID, Attempt: rc.Attempt,
				Noticed: rc.Noticed.UTC(), At: rc.At.UTC(),
			})
		}
	}
	writeJSON(w, "application/json", http.StatusOK, out)
}

// failed is the answer to a failure of a store. Its error is for the log only.
func (a *API) failed(what string, err error) *problem {
	a.log.Error("api: "+what, "err", err)
	return unavailable.with(what + "; repeat the request")
}
