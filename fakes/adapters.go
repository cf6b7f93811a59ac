package fakes

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"mailbell/fakes/control"
	"mailbell/fakes/exchange"
	"mailbell/fakes/fakeapns"
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

// servers are the APNs environments, production first.
func (d devices) servers() []*fakeapns.Server { return []*fakeapns.Server{d.w.APNs, d.w.Sandbox} }

// tokenMax bounds a device token; Apple's have 64 digits, and may grow.
const tokenMax = 200

func (d devices) NewAPNs(token, topic, environment string) (string, error) {
	s := d.w.APNs
	switch environment {
	case "", fakeapns.Production:
	case fakeapns.Development:
		s = d.w.Sandbox
	default:
		return "", fmt.Errorf("environment: %q; %s or %s is allowed", environment, fakeapns.Production, fakeapns.Development)
	}
	if topic == "" {
		topic = Topic
	}
	if token == "" {
		var b [32]byte
		rand.Read(b[:])
		token = hex.EncodeToString(b[:])
	} else if _, err := hex.DecodeString(token); err != nil || len(token) > tokenMax {
		return "", fmt.Errorf("token: want at most %d hexadecimal digits", tokenMax)
	}
	s.AddDevice(token, topic)
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

func (d devices) Retire(address, reason string, at time.Time) error {
	if isChannel(address) {
		end, ok := map[string]func(string) bool{"": d.w.WNS.Expire, "expired": d.w.WNS.Expire, "revoked": d.w.WNS.Revoke, "blocked": d.w.WNS.BlockDomain}[reason]
		if !ok {
			return fmt.Errorf("reason: %q; expired, revoked or blocked is allowed for a channel", reason)
		}
		if !end(address) {
			return control.ErrNoDevice
		}
		return nil
	}
	if reason != "" && fakeapns.StatusOf(reason) != http.StatusGone {
		return fmt.Errorf("reason: %q; Unregistered or ExpiredToken is allowed for a token", reason)
	}
	for _, s := range d.servers() {
		if _, known := s.Device(address); known {
			s.Retire(address, at, reason)
			return nil
		}
	}
	return control.ErrNoDevice
}

func (d devices) SetOnline(address string, online bool) error {
	if isChannel(address) {
		if !d.w.WNS.SetOnline(address, online) {
			return control.ErrNoDevice
		}
		return nil
	}
	for _, s := range d.servers() {
		if s.SetOnline(address, online) {
			return nil
		}
	}
	return control.ErrNoDevice
}

func (d devices) Shown(address string) (any, bool) {
	if isChannel(address) {
		return d.w.WNS.Device(address)
	}
	for _, s := range d.servers() {
		if st, known := s.Device(address); known {
			return st, true
		}
	}
	return nil, false
}
