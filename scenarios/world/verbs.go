package world

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"mailbell/fakes"
	"mailbell/fakes/fault"
	"mailbell/fakes/journal"
)

// WholeMinute separates times that have whole seconds. In real time it is as
// long as it has to be and no longer.
const WholeMinute = time.Minute

// Wait lets time go by: virtual time as it is, real time only as far as clocks
// with whole seconds need it.
func (w *World) Wait(d time.Duration) {
	if w.opt.Real {
		d = min(d, 6*time.Second)
	}
	pause(d)
}

// Eventually waits for a condition.
func (w *World) Eventually(ok func() bool) {
	GinkgoHelper()
	for deadline := time.Now().Add(w.patient); !ok(); pause(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			Fail("waited in vain: " + w.scene())
		}
	}
}

// MustAddFault puts a fault in force.
func (w *World) MustAddFault(f fault.Fault) fault.Fault {
	GinkgoHelper()
	f, err := w.Faults.Add(f)
	Expect(err).NotTo(HaveOccurred())
	return f
}

// AwaitRefused waits until a push to the device was refused.
func (w *World) AwaitRefused(d *Device) {
	GinkgoHelper()
	w.Await("a refused push", func(e journal.Entry) bool {
		return e.Kind == "push" && e.Status != http.StatusOK && e.Device == d.Address()
	})
}

// Queued is how many pushes wait in the notifier's queue. In virtual time only.
func (w *World) Queued() int {
	GinkgoHelper()
	n, err := w.stores.Queue.Depth(w.Ctx)
	Expect(err).NotTo(HaveOccurred())
	return n
}

// Forgive tells the oracle that nothing is due for an item.
func (w *World) Forgive(item string) {
	for _, d := range w.devices {
		w.Journal.Append(journal.Entry{Server: "device", Kind: "receipt", Device: d.ID, Mailbox: d.Mailbox, Item: item, Reason: "forgiven", Detail: map[string]string{"verdict": "drop"}})
	}
}

// NewToken gives the phone another device token, as the restore of a backup
// does. The app has to register it.
func (d *Device) NewToken() {
	sum := sha256.Sum256([]byte(d.APNs.Token))
	d.APNs.Token = hex.EncodeToString(sum[:])
	d.w.APNs.AddDevice(d.APNs.Token, fakes.Topic)
}

// RegisterFor tries to register the device for somebody else's mailbox with its
// own credential.
func (d *Device) RegisterFor(ctx context.Context, mailbox string) error {
	stranger := *d.Device
	stranger.Journal = nil
	stranger.ClaimedMailbox = d.Mailbox
	stranger.Mailbox = mailbox
	return stranger.Register(ctx)
}

// Retire has the provider know the device no more, from now on.
func (d *Device) Retire() {
	d.w.Journal.Append(journal.Entry{Server: "device", Kind: "gone", Device: d.ID, Mailbox: d.Mailbox})
	if d.WNS != nil {
		d.w.WNS.Expire(d.WNS.Channel)
		return
	}
	d.w.APNs.Retire(d.APNs.Token, time.Now(), "Unregistered")
}

// IsRegistered asks the service whether it knows the device.
func (d *Device) IsRegistered() bool {
	GinkgoHelper()
	known, err := d.Registered(d.w.Ctx)
	Expect(err).NotTo(HaveOccurred())
	return known
}
