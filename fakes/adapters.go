package fakes

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"mailbell/fakes/exchange"
	"mailbell/fakes/fakeautodiscover"
)

// directory tells fakeautodiscover what the organisation knows.
type directory struct{ o *exchange.Organisation }

func (d directory) Settings(address string) (fakeautodiscover.UserSettings, bool) {
	s, ok := d.o.Settings(address)
	if !ok {
		return fakeautodiscover.UserSettings{}, false
	}
	return fakeautodiscover.UserSettings{
		Address: s.Address, DisplayName: s.DisplayName, UserDN: s.UserDN, MailboxDN: s.MailboxDN, Server: s.ServerFQDN,
		ExternalEwsURL: s.EWSURL, InternalEwsURL: s.InternalEWSURL, Grouping: s.Grouping, Version: s.CASVersion, Schemas: s.Schemas,
		Online: s.Version == exchange.VOnline,
	}, true
}

// devices lets the control API act on simulated devices.
type devices struct{ w *World }

func (d devices) NewAPNs(topic string) (string, error) {
	if topic == "" {
		topic = Topic
	}
	var b [32]byte
	rand.Read(b[:])
	token := hex.EncodeToString(b[:])
	d.w.APNs.AddDevice(token, topic)
	return token, nil
}

func (d devices) NewWNS(app string) (string, error) {
	if app == "" {
		app = WNSApp
	}
	if app != WNSApp {
		return "", fmt.Errorf("app: %q is not known; %s is", app, WNSApp)
	}
	return d.w.WNS.NewChannel(app), nil
}

func isChannel(address string) bool { return strings.HasPrefix(address, "https://") }

func (d devices) Retire(address string) error {
	if isChannel(address) {
		d.w.WNS.Expire(address)
		return nil
	}
	d.w.APNs.Retire(address, time.Now(), "Unregistered")
	return nil
}

func (d devices) SetOnline(address string, online bool) error {
	if isChannel(address) {
		d.w.WNS.SetOnline(address, online)
		return nil
	}
	if !d.w.APNs.SetOnline(address, online) {
		return fmt.Errorf("address: no such device token")
	}
	return nil
}

func (d devices) Shown(address string) (any, bool) {
	if isChannel(address) {
		return d.w.WNS.Device(address)
	}
	return d.w.APNs.Device(address)
}
