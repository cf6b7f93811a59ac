package fakes

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mailbell/fakes/control"
	"mailbell/fakes/exchange"
	"mailbell/fakes/fakeapns"
	"mailbell/fakes/fakeautodiscover"
	"mailbell/fakes/fakeentra"
	"mailbell/fakes/fakeews"
	"mailbell/fakes/fakesmtp"
	"mailbell/fakes/fakewns"
	"mailbell/fakes/fault"
	"mailbell/fakes/iisauth"
	"mailbell/fakes/journal"
	"mailbell/fakes/network"
	"mailbell/fakes/testcert"
)

// What the world's push apps are called and who may push to them.
const (
	Topic      = "test.contoso.mail" // bundle ID of the iPhone app
	KeyID      = "MAILBELL01"        // of the provider key
	TeamID     = "CONTOSO001"
	WNSApp     = "mail"
	PackageSID = "ms-app://s-1-15-2-1234567890-1234567890-1234567890-1234567890-1234567890-1234567890-1234567890"
	wnsSecret  = "wns-secret-of-the-simulated-world"
	Tenant     = "8f2c3c1e-5c0f-4a55-9d53-6f1f8d8f1f01"
	ClientID   = "5d0f6f0e-0c3a-4c0e-8b36-0b6a7d6c2f02"
	appSecret  = "application-secret-of-the-simulated-world"

	Listener = "svc-mailbell" // the listener account, in domain CONTOSO
	NetBIOS  = "CONTOSO"
)

// World is a running simulated world. Its fields may be used until Close.
type World struct {
	Organisation *exchange.Organisation
	Journal      *journal.Journal
	Faults       *fault.Set
	Authority    *testcert.Authority
	Network      network.Network
	APNs         *fakeapns.Server // production
	Sandbox      *fakeapns.Server // development
	WNS          *fakewns.Server
	Entra        *fakeentra.Server
	ProviderKey  *ecdsa.PrivateKey

	opt     Options
	own     *network.Loopback // the network, when the world made it
	where   map[string]net.Addr
	site    *iisauth.Site
	resets  []func()               // of the servers that have no field here, see reset
	files   atomic.Pointer[string] // directory of WriteFiles
	closers []func() error
	serving sync.WaitGroup
}

// Start brings a world up. It serves when Start returns.
func Start(o Options) (*World, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	w := &World{Journal: journal.New(), Faults: fault.New(o.Seed), Network: o.Network, opt: o, where: map[string]net.Addr{}}
	w.Faults.Know(faultNames()...)
	if w.Network == nil {
		w.own = network.NewLoopback()
		w.Network = w.own
		w.closers = append(w.closers, w.own.Close)
	}
	if err := w.start(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// Close ends all servers and waits for them.
func (w *World) Close() error {
	var errs []error
	for i := len(w.closers) - 1; i >= 0; i-- {
		errs = append(errs, w.closers[i]())
	}
	w.closers = nil
	w.serving.Wait()
	return errors.Join(errs...)
}

// Domain is the organisation's mail domain.
func (w *World) Domain() string { return w.opt.Domain }

// listeners are the names of the listener accounts: the first is Listener, the
// second has -2 behind it, and so on.
func (w *World) listeners() []string {
	list := []string{Listener}
	for i := 2; i <= w.opt.Listeners; i++ {
		list = append(list, fmt.Sprint(Listener, "-", i))
	}
	return list
}

// ListenerUsers are the listener accounts, with their domain. All have the same
// password.
func (w *World) ListenerUsers() []string {
	list := w.listeners()
	for i, name := range list {
		list[i] = NetBIOS + `\` + name
	}
	return list
}

// ListenerUser and ListenerPassword are the first listener account's
// credentials.
func (w *World) ListenerUser() string     { return w.ListenerUsers()[0] }
func (w *World) ListenerPassword() string { return w.opt.Password }

// WNSSecret is the secret of the WNS app.
func (w *World) WNSSecret() string { return wnsSecret }

// AppSecret is the secret of the application that may use Exchange Online.
func (w *World) AppSecret() string { return appSecret }

// ProviderKeyPEM is the .p8 file of the APNs provider key.
func (w *World) ProviderKeyPEM() []byte {
	der, err := x509.MarshalPKCS8PrivateKey(w.ProviderKey)
	if err != nil {
		panic(err) // a P-256 key has a PKCS #8 form
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func (w *World) start() error {
	var err error
	if w.Authority, err = testcert.NewAuthority(); err != nil {
		return err
	}
	if w.ProviderKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	for _, step := range []func() error{w.startOrganisation, w.startEntra, w.startExchange, w.startAPNs, w.startWNS, w.startSMTP, w.startControl, w.startProxy} {
		if err := step(); err != nil {
			return fmt.Errorf("fakes: %w", err)
		}
	}
	return nil
}

func (w *World) startOrganisation() error {
	o := w.opt
	org, err := exchange.New(exchange.Options{
		Version: o.Version, Domains: []string{o.Domain}, Servers: o.Servers, Journal: w.Journal, Seed: o.Seed, Unthrottled: o.Unthrottled, CPU: o.CPU,
	})
	if err != nil {
		return err
	}
	w.Organisation = org
	for _, user := range w.listeners() {
		org.AddAccount(iisauth.Account{User: user, NetBIOS: NetBIOS, DNSDomain: o.Domain, UPN: user + "@" + o.Domain, Password: o.Password, Impersonation: true})
	}
	for _, name := range o.Named {
		if err := org.AddMailbox(name+"@"+o.Domain, exchange.MailboxOptions{}); err != nil {
			return err
		}
	}
	for i := range o.Mailboxes {
		if err := org.AddMailbox(fmt.Sprintf("user%05d@%s", i+1, o.Domain), exchange.MailboxOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// listen binds a service's host, at its fixed address if it has one.
func (w *World) listen(service, host string) (net.Listener, error) {
	var l net.Listener
	var err error
	if at := w.opt.Fixed[service]; at != "" && w.own != nil {
		l, err = w.own.ListenAt(host, at)
	} else {
		l, err = w.Network.Listen(host)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", service, err)
	}
	if _, known := w.where[service]; !known {
		w.where[service] = l.Addr()
	}
	return l, nil
}

// serve runs an HTTP/1.1 server on the host; over TLS unless plain.
func (w *World) serve(service, host string, srv *http.Server, plain bool, names ...string) error {
	l, err := w.listen(service, host)
	if err != nil {
		return err
	}
	if !plain {
		cert, err := w.Authority.Server(names...)
		if err != nil {
			return err
		}
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	}
	srv.ReadHeaderTimeout = headerTimeout
	w.serving.Go(func() { _ = srv.Serve(l) }) // ends with Close, and then says so
	w.closers = append(w.closers, srv.Close)
	return nil
}

// headerTimeout frees connections that never ask anything.
const headerTimeout = 30 * time.Second

// local are the names under which clients may reach a server besides its own.
func (w *World) local() []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	if w.opt.Advertise != "" && !slices.Contains(names, w.opt.Advertise) {
		names = append(names, w.opt.Advertise)
	}
	return names
}

func (w *World) startExchange() error {
	mail, auto := "mail."+w.opt.Domain, "autodiscover."+w.opt.Domain
	names := append([]string{mail, auto}, w.local()...)
	for _, s := range w.Organisation.Servers() {
		names = append(names, w.Organisation.ServerFQDN(s))
	}
	cert, err := w.Authority.Server(names...)
	if err != nil {
		return err
	}
	w.site = iisauth.New(iisauth.Options{
		Directory: w.Organisation, Schemes: w.opt.Schemes, Certificate: cert, ExtendedProtection: iisauth.EPAAllow, Tokens: w.Entra,
		HTML401: w.opt.Profile != fault.Calm, Faults: w.Faults, Journal: w.Journal, Logger: w.opt.Logger,
		Names: iisauth.Names{NetBIOSDomain: NetBIOS, DNSDomain: w.opt.Domain},
	})
	ews, err := fakeews.New(fakeews.Options{
		Organisation: w.Organisation, Profile: w.opt.Profile, Faults: w.Faults, Journal: w.Journal, Seed: w.opt.Seed,
		Heartbeat: w.opt.Heartbeat, Latency: w.opt.EventLatency, Logger: w.opt.Logger,
	})
	if err != nil {
		return err
	}
	w.closers = append(w.closers, ews.Close)
	b := w.Organisation.Behaviour()
	discover := fakeautodiscover.New(fakeautodiscover.Options{
		Directory: directory{w.Organisation}, Site: w.site, Profile: w.opt.Profile, Seed: w.opt.Seed, Faults: w.Faults, Journal: w.Journal, Logger: w.opt.Logger,
		Version: fakeautodiscover.ServerVersion{Major: b.Major, Minor: b.Minor, Build: b.Build, Revision: b.Revision, Label: b.Schemas[len(b.Schemas)-1]},
	})
	w.resets = append(w.resets, ews.Reset, discover.Reset)
	if err := w.serve("autodiscover_http", auto+":80", &http.Server{Handler: discover.Probe()}, true); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", discover)
	mux.Handle("/EWS/", w.site.Handler(ews))
	mux.Handle("/ews/", w.site.Handler(ews))
	for service, host := range map[string]string{"ews": mail, "autodiscover": auto} {
		l, err := w.listen(service, host+":443")
		if err != nil {
			return err
		}
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
		srv := &http.Server{Handler: mux, ConnContext: w.site.ConnContext, ReadHeaderTimeout: headerTimeout}
		w.serving.Go(func() { _ = srv.Serve(l) }) // ends with Close, and then says so
		w.closers = append(w.closers, srv.Close)
	}
	return nil
}

func (w *World) startEntra() error {
	w.Entra = fakeentra.New(fakeentra.Options{
		Tenants: []fakeentra.Tenant{{ID: Tenant, Domains: []string{w.opt.Domain}}},
		Apps:    []fakeentra.App{{ClientID: ClientID, Tenant: Tenant, Secret: appSecret}},
		Faults:  w.Faults, Journal: w.Journal, Logger: w.opt.Logger,
	})
	return w.serve("oauth", "login.microsoftonline.com:443", &http.Server{Handler: w.Entra}, false, append([]string{"login.microsoftonline.com"}, w.local()...)...)
}

func (w *World) startAPNs() error {
	keys := []fakeapns.ProviderKey{{KeyID: KeyID, TeamID: TeamID, PublicKey: &w.ProviderKey.PublicKey, Topics: []string{Topic}}}
	for _, e := range []struct {
		service, host, environment string
		into                       **fakeapns.Server
	}{{"apns", "api.push.apple.com", "production", &w.APNs}, {"apns_sandbox", "api.sandbox.push.apple.com", "development", &w.Sandbox}} {
		l, err := w.listen(e.service, e.host+":443")
		if err != nil {
			return err
		}
		cert, err := w.Authority.Server(append([]string{e.host}, w.local()...)...)
		if err != nil {
			return err
		}
		s, err := fakeapns.Start(fakeapns.Options{Listener: l, Certificate: cert, Environment: e.environment, Keys: keys, Journal: w.Journal, Faults: w.Faults, Profile: w.opt.Profile})
		if err != nil {
			return err
		}
		*e.into = s
		w.closers = append(w.closers, s.Close)
	}
	return nil
}

func (w *World) startWNS() error {
	w.WNS = fakewns.New(fakewns.Options{Apps: []fakewns.App{{Name: WNSApp, SID: PackageSID, Secret: wnsSecret}}, Journal: w.Journal, Faults: w.Faults, Profile: w.opt.Profile})
	if err := w.serve("wns", "*.notify.windows.com:443", &http.Server{Handler: w.WNS.ChannelHandler()}, false, append([]string{"*.notify.windows.com"}, w.local()...)...); err != nil {
		return err
	}
	return w.serve("wns_token", "login.live.com:443", &http.Server{Handler: w.WNS.TokenHandler()}, false, append([]string{"login.live.com"}, w.local()...)...)
}

func (w *World) startSMTP() error {
	s, err := fakesmtp.New(fakesmtp.Options{Organisation: w.Organisation, Journal: w.Journal})
	if err != nil {
		return err
	}
	l, err := w.listen("smtp", "mail."+w.opt.Domain+":25")
	if err != nil {
		return err
	}
	w.serving.Go(func() { _ = s.Serve(l) }) // ends with Close, and then says so
	w.closers = append(w.closers, s.Close)
	return nil
}

func (w *World) startControl() error {
	w.files.Store(new(string))
	w.resets = append(w.resets, w.Organisation.Remember())
	api := control.New(control.Options{
		Organisation: w.Organisation, Journal: w.Journal, Faults: w.Faults, Devices: devices{w}, Push: pushes{w},
		Ready: func() any { return w.Ready(*w.files.Load()) }, State: w.pushState, Reset: func() error { w.reset(); return nil },
		Authority: w.Authority.PEM, ProviderKey: w.ProviderKeyPEM,
	})
	return w.serve("control", "control."+w.opt.Domain+":80", &http.Server{Handler: api}, true)
}

// startProxy leads programs to the hosts by their real names that cannot be told
// where these are.
func (w *World) startProxy() error {
	p := network.NewProxy(w.Network, func(err error) {
		w.Journal.Append(journal.Entry{Server: "proxy", Kind: "violation", Reason: err.Error()})
	})
	w.closers = append(w.closers, p.Close) // after its server
	return w.serve("proxy", "proxy."+w.opt.Domain+":3128", &http.Server{Handler: p}, true)
}

// Dial connects to a host of the world by its real name.
func (w *World) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return w.Network.Dial(ctx, network, addr)
}
