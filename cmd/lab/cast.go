package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"

	"mailbell/fakes"
	"mailbell/fakes/fakedevice"
)

// Kinds of device, as the page's style sheet knows them.
const (
	kindPhone = "ios"
	kindPC    = "windows"
)

// sample is one device of the lab's people.
type sample struct {
	ID, Name string
	Person   string // local part of the mailbox
	Kind     string
	Locale   string
	Hidden   bool // policy shows nothing of this person's mail
}

// cast is everybody in the lab.
var cast = [...]sample{
	{ID: "taro-iphone", Name: "Taro's iPhone", Person: "taro", Kind: kindPhone, Locale: "ja"},
	{ID: "taro-pc", Name: "Taro's PC", Person: "taro", Kind: kindPC, Locale: "ja"},
	{ID: "hanako-iphone", Name: "Hanako's iPhone", Person: "hanako", Kind: kindPhone, Locale: "en"},
	{ID: "ada-pc", Name: "Ada's PC", Person: "ada", Kind: kindPC, Locale: "fr"},
	{ID: "ben-iphone", Name: "Ben's iPhone", Person: "ben", Kind: kindPhone, Locale: "de"},
	{ID: "claire-pc", Name: "Claire's PC", Person: "claire", Kind: kindPC, Locale: "fr", Hidden: true},
}

// people are the local parts of the cast's mailboxes, in order.
func people() []string {
	var out []string
	seen := map[string]bool{}
	for _, s := range cast {
		if !seen[s.Person] {
			seen[s.Person] = true
			out = append(out, s.Person)
		}
	}
	return out
}

// device is a sample that has an address and is registered.
type device struct {
	sample
	Mailbox string
	app     *fakedevice.Device
}

// Address is the device token or channel URI under which the journal knows it.
func (d *device) Address() string { return d.app.Address() }

// register gives every member of the cast a device, known to its provider and
// registered with the notifier.
func register(ctx context.Context, w *fakes.World, seed int64, service string, client *http.Client, enrolment *fakedevice.Authority) ([]*device, error) {
	var devices []*device
	for _, s := range cast {
		d := &device{sample: s, Mailbox: s.Person + "@" + w.Domain()}
		d.app = &fakedevice.Device{
			ID: s.ID, Mailbox: d.Mailbox, Locale: s.Locale,
			Service: service, Client: client, Authority: enrolment, Journal: w.Journal,
		}
		if s.Kind == kindPhone {
			sum := sha256.Sum256(fmt.Appendf(nil, "%s, seed %d", s.ID, seed))
			token := hex.EncodeToString(sum[:])
			w.APNs.AddDevice(token, fakes.Topic)
			d.app.APNs = &fakedevice.APNs{Token: token, Topic: fakes.Topic, Environment: "production"}
		} else {
			d.app.WNS = &fakedevice.WNS{Channel: w.WNS.NewChannel(fakes.WNSApp), App: fakes.WNSApp, Badge: true}
		}
		devices = append(devices, d)
		if err := d.app.Register(ctx); err != nil {
			return nil, fmt.Errorf("register %s: %w", s.Name, err)
		}
	}
	return devices, nil
}
