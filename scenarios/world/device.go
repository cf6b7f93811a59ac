package world

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"mailbell/fakes"
	"mailbell/fakes/fakedevice"
	"mailbell/fakes/journal"
)

// Device is a phone or PC of somebody in the story.
type Device struct {
	*fakedevice.Device
	w     *World
	shown map[string]bool // receipts already in the journal
}

// Phone gives somebody an iPhone and registers it.
func (w *World) Phone(name string) *Device {
	GinkgoHelper()
	d := w.NewPhone(name)
	d.MustRegister()
	return d
}

// PC gives somebody a Windows device and registers it.
func (w *World) PC(name string) *Device {
	GinkgoHelper()
	d := w.NewPC(name)
	d.MustRegister()
	return d
}

// MustRegister registers the device for its mailbox.
func (d *Device) MustRegister() {
	GinkgoHelper()
	Expect(d.Register(d.w.Ctx)).To(Succeed())
}

// MustWipe has the device wiped.
func (d *Device) MustWipe() {
	GinkgoHelper()
	Expect(d.Wipe(d.w.Ctx)).To(Succeed())
}

// AwaitPush waits until the device's provider has accepted a push that shows
// the text.
func (d *Device) AwaitPush(text string) journal.Entry {
	GinkgoHelper()
	return d.w.Await("a push with "+text, func(e journal.Entry) bool {
		return e.Kind == "push" && e.Status == 200 && e.Device == d.Address() && strings.Contains(string(e.Body), text)
	})
}

// Pushes counts the accepted pushes that show the text.
func (d *Device) Pushes(text string) int {
	n := 0
	for _, e := range d.w.Journal.After(0) {
		if e.Kind == "push" && e.Status == 200 && e.Device == d.Address() && strings.Contains(string(e.Body), text) {
			n++
		}
	}
	return n
}

// Topic of the app on every iPhone of the world.
const Topic = fakes.Topic
