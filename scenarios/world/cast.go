package world

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"mailbell/fakes"
	"mailbell/fakes/fakedevice"
	"mailbell/fakes/journal"
)

// NewPhone gives somebody an iPhone that is not registered yet.
func (w *World) NewPhone(name string) *Device {
	GinkgoHelper()
	sum := sha256.Sum256(fmt.Appendf(nil, "phone %d of %s, seed %d", len(w.devices), name, w.opt.Seed))
	token := hex.EncodeToString(sum[:])
	w.APNs.AddDevice(token, fakes.Topic)
	return w.device(name, "iphone", &fakedevice.APNs{Token: token, Topic: fakes.Topic, Environment: "production"}, nil)
}

// NewPC gives somebody a Windows device that is not registered yet.
func (w *World) NewPC(name string) *Device {
	GinkgoHelper()
	return w.device(name, "pc", nil, &fakedevice.WNS{Channel: w.WNS.NewChannel(fakes.WNSApp), App: fakes.WNSApp, Badge: true})
}

func (w *World) device(name, kind string, a *fakedevice.APNs, n *fakedevice.WNS) *Device {
	GinkgoHelper()
	d := &Device{
		Device: &fakedevice.Device{
			ID: fmt.Sprintf("%s-%s-%d", name, kind, len(w.devices)+1), Mailbox: w.Person(name), Locale: "en-GB", APNs: a, WNS: n,
			Service: "https://" + host, Client: w.phones, Authority: w.Authority, Journal: w.Journal,
		},
		w: w, shown: map[string]bool{},
	}
	w.devices = append(w.devices, d)
	return d
}

// showReceipts asks the service what became of the device's mails, and puts the
// answer into the journal for the oracle.
func (d *Device) showReceipts() {
	GinkgoHelper()
	if d.w.App == nil {
		return
	}
	ctx, cancel := context.WithTimeout(d.w.Ctx, time.Minute)
	defer cancel()
	list, err := d.Notifications(ctx)
	Expect(err).NotTo(HaveOccurred())
	for _, o := range list {
		key := o.Item + o.Verdict + o.Reason
		if d.shown[key] {
			continue
		}
		d.shown[key] = true
		d.w.Journal.Append(journal.Entry{
			Server: "device", Kind: "receipt", Device: d.ID, Mailbox: o.Mailbox, Item: o.Item, Status: o.Status, Reason: o.Reason,
			Detail: map[string]string{"verdict": strings.ToLower(o.Verdict)},
		})
	}
}

// Outcome is what the service tells the device of a mail.
func (d *Device) Outcome(item string) (fakedevice.Outcome, bool) {
	GinkgoHelper()
	list, err := d.Notifications(d.w.Ctx)
	Expect(err).NotTo(HaveOccurred())
	for _, o := range list {
		if o.Item == item {
			return o, true
		}
	}
	return fakedevice.Outcome{}, false
}
