package deliver

import (
	"context"
	"errors"
	"time"

	"mailbell/notifier"
)

// plan decides what is to be done with a push that was taken. It does no I/O.
func (l *lane) plan(f *flight, now time.Time) (do func()) {
	p := f.push
	if w, known := l.unsettled.get(p.ID); known {
		return func() { l.settle(f, w) }
	}
	r, revision, standing := l.look(p, now)
	switch {
	case standing == gone:
		return l.drop(f, notifier.ReasonWiped, now)
	case !p.Expires.After(now):
		return l.drop(f, notifier.ReasonExpired, now)
	case standing == unknown:
		return func() { l.handBack(f, viewLagTry) }
	}
	leave, ok, after := l.gate.admit(l.wayOf(r), now)
	if !ok {
		return func() { l.handBack(f, after) }
	}
	return func() { l.send(f, r, revision, leave) }
}

// standing is how a push and the registration of its device fit.
type standing uint8

const (
	present standing = iota + 1 // the one it was composed for
	gone                        // wiped, or another one
	unknown                     // perhaps not known here yet
)

// look finds the registration that a push was composed for.
func (l *lane) look(p notifier.Push, now time.Time) (notifier.Registration, uint64, standing) {
	if l.owner.barred.has(p) {
		return notifier.Registration{}, 0, gone
	}
	r, revision, ok := l.owner.opt.Lookup(p.Device)
	young := now.Sub(p.Registered) < viewLagMax
	switch {
	case ok && (r.Created.After(p.Registered) || r.Created.Equal(p.Registered) && (r.Mailbox != p.Mailbox || r.Provider != p.Provider)):
		return r, revision, gone
	case ok && r.Created.Equal(p.Registered):
		return r, revision, present
	case young:
		// What is known here is older than the push.
		return r, revision, unknown
	case ok && r.Mailbox == p.Mailbox && r.Provider == p.Provider:
		return r, revision, present
	}
	return r, revision, gone
}

// send sends and acts by the verdict.
func (l *lane) send(f *flight, r notifier.Registration, revision uint64, leave pass) {
	ctx, done := context.WithTimeout(f.ctx, l.owner.opt.Retry.SendTimeout)
	receipt := l.sender.Send(ctx, f.push, r)
	done()
	now := time.Now()
	cause := context.Cause(f.ctx)

	verdict := receipt.Verdict
	if cause != nil && !verdict.Final() {
		verdict = 0 // cut short by us: it says nothing about the way
	}
	closed, after := l.gate.answered(leave, verdict, receipt.RetryAfter, now)
	if closed {
		l.log.Warn("way closed", "way", leave.way.name, "for", after, "reason", receipt.Reason, "status", receipt.Status, "err", receipt.Err)
	} else if leave.probe && verdict.Final() {
		l.log.Info("way open again", "way", leave.way.name)
	}
	receipt.Attempt = l.attempts.count(f.push.ID) + 1

	switch {
	case verdict == notifier.Delivered || verdict == notifier.Drop:
		l.settle(f, unwritten{receipt: receipt})
	case verdict == notifier.Forget:
		l.forget(f, r, revision, receipt)
	case errors.Is(cause, errWiped):
		l.drop(f, notifier.ReasonWiped, now)()
	case cause != nil:
		l.handBack(f, 0)
	case verdict == notifier.Pause:
		l.handBack(f, after)
	default:
		l.putOff(f, receipt, now)
	}
}

// drop ends a push that is not sent.
func (l *lane) drop(f *flight, reason string, now time.Time) func() {
	receipt := notifier.NewReceipt(f.push, notifier.Drop, reason, now.UTC())
	receipt.Attempt = l.attempts.count(f.push.ID)
	return func() { l.settle(f, unwritten{receipt: receipt}) }
}

// putOff gives a push back to be sent again after a back-off, and uses up an
// attempt.
func (l *lane) putOff(f *flight, receipt notifier.Receipt, now time.Time) {
	p, o := f.push, &l.owner.opt.Retry
	n := l.attempts.add(p, now)
	if n >= o.AttemptsMax {
		l.log.Warn("push given up: attempts used up", "push", p.ID, "reason", receipt.Reason, "status", receipt.Status, "err", receipt.Err)
		receipt.Verdict, receipt.Reason = notifier.Drop, notifier.ReasonAttempts
		l.settle(f, unwritten{receipt: receipt})
		return
	}
	left := p.Expires.Sub(now)
	wait := o.wait(n, receipt)
	switch {
	case left <= 0 || wait > left && receipt.RetryAfter > left:
		receipt.Verdict, receipt.Reason = notifier.Drop, notifier.ReasonExpired
		l.settle(f, unwritten{receipt: receipt})
		return
	case wait > left:
		wait = spread(left)
	}
	l.log.Debug("push put off", "push", p.ID, "attempt", n, "for", wait, "reason", receipt.Reason, "status", receipt.Status, "err", receipt.Err)
	l.retried.Add(1)
	l.giveBack(f, wait)
}

// handBack gives a push back without using up an attempt. It comes again at
// its expiry at the latest, to get its receipt.
func (l *lane) handBack(f *flight, after time.Duration) {
	if after > 0 {
		after += spread(handBackSpread)
	}
	l.handedBack.Add(1)
	l.giveBack(f, min(after, max(time.Until(f.push.Expires), 0)))
}

func (l *lane) giveBack(f *flight, after time.Duration) {
	if err := f.retry(after); err != nil {
		// The queue gives it out again by itself once its claim has run out.
		l.log.Warn("push cannot be given back", "push", f.push.ID, "err", err)
	}
}

// forget removes the registration whose address is dead, unless it is newer
// than the provider's knowledge. When the device has another address by now,
// the push goes there.
func (l *lane) forget(f *flight, sent notifier.Registration, revision uint64, receipt notifier.Receipt) {
	r, current, ok := l.owner.opt.Lookup(f.push.Device)
	switch {
	case !ok:
	case current != revision && !sameAddress(r, sent):
		receipt.RetryAfter = 0
		l.putOff(f, receipt, time.Now())
		return
	case current != revision, !receipt.GoneSince.IsZero() && r.Confirmed.After(receipt.GoneSince):
		l.log.Info("address refused as dead, but confirmed since; registration kept", "device", f.push.Device, "address", sent.Address(), "reason", receipt.Reason)
	default:
		ctx, done := f.settling()
		err := l.owner.opt.Forget(ctx, f.push.Device, revision)
		done()
		if err != nil {
			l.log.Warn("dead registration cannot be removed", "device", f.push.Device, "err", err)
			l.handBack(f, settleWait)
			return
		}
		l.log.Info("registration removed: address is dead", "device", f.push.Device, "address", sent.Address(), "reason", receipt.Reason)
	}
	l.settle(f, unwritten{receipt: receipt})
}

func sameAddress(a, b notifier.Registration) bool {
	switch {
	case a.APNs != nil && b.APNs != nil:
		return *a.APNs == *b.APNs
	case a.WNS != nil && b.WNS != nil:
		return a.WNS.Channel == b.WNS.Channel && a.WNS.App == b.WNS.App
	}
	return false
}

// settle ends a push: the receipt first, so that a crash in between repeats the
// push and does not lose the receipt.
func (l *lane) settle(f *flight, w unwritten) {
	id := f.push.ID
	if !w.appended && !f.push.Update {
		ctx, done := f.settling()
		err := l.owner.opt.Ledger.Append(ctx, w.receipt)
		done()
		if err != nil {
			l.log.Warn("receipt cannot be written", "push", id, "err", err)
			l.unsettled.keep(id, w)
			l.giveBack(f, settleWait)
			return
		}
		w.appended = true
	}
	if err := f.ack(); err != nil {
		l.log.Warn("push cannot be acknowledged", "push", id, "err", err)
		l.unsettled.keep(id, w)
		return
	}
	l.unsettled.forget(id)
	l.attempts.forget(id)
	l.count(w.receipt)
}

func (l *lane) count(r notifier.Receipt) {
	switch r.Verdict {
	case notifier.Delivered:
		l.delivered.Add(1)
		l.log.Debug("push delivered", "push", r.Push, "provider_id", r.ProviderID)
		return
	case notifier.Forget:
		l.forgotten.Add(1)
	default:
		l.dropped.Add(1)
	}
	l.log.Info("push given up", "push", r.Push, "verdict", r.Verdict, "reason", r.Reason, "status", r.Status, "err", r.Err)
}
