package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"mailbell/fakes"
	"mailbell/fakes/exchange"
	"mailbell/fakes/fakedevice"
	"mailbell/fakes/fault"
	"mailbell/fakes/iisauth"
)

// smtpAddr is where mail is taken when nobody says otherwise and it is free.
const smtpAddr = "127.0.0.1:2525"

// heartbeat of the simulated streams: shorter than a real server's, so that
// the page soon sees a stream whose reader was killed.
const heartbeat = 3 * time.Second

// clientTimeout bounds one request to the registration service.
const clientTimeout = 10 * time.Second

// options of a lab.
type options struct {
	Version exchange.Version
	Profile fault.Profile
	Seed    int64
	SMTP    string // empty: smtpAddr if it is free, else any
	AnySMTP bool   // any port, when SMTP is empty

	Changed func() // called when the notifier's status changes; may be nil
}

// lab is everything that runs, except for the page.
type lab struct {
	World    *fakes.World
	Devices  []*device
	Notifier *process
	Dir      string

	client *http.Client
}

// open starts a lab: the world, the notifier, and the devices, registered. On
// failure nothing is left.
func open(ctx context.Context, o options) (l *lab, err error) {
	l = &lab{}
	opened := false
	defer func() {
		if !opened { // a failure, or a panic on its way
			err = errors.Join(err, l.Close())
			l = nil
		}
	}()
	if l.Dir, err = os.MkdirTemp("", "mailbell-lab-"); err != nil {
		return l, err
	}
	if l.World, err = fakes.Start(worldOptions(o)); err != nil {
		if o.SMTP != "" && !free(o.SMTP) {
			err = fmt.Errorf("mail cannot be taken at %s: %w; stop what occupies it, or choose another address with --smtp 127.0.0.1:0", o.SMTP, err)
		}
		return l, err
	}
	l.client = &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: l.World.Authority.Pool(), MinVersion: tls.VersionTLS12}, DisableKeepAlives: true},
		Timeout:   clientTimeout,
	}
	enrolment, err := fakedevice.NewAuthority()
	if err != nil {
		return l, err
	}
	api, err := freeAddress()
	if err != nil {
		return l, err
	}
	if err = writeSetup(l.Dir, l.World, o.Version, api, enrolment); err != nil {
		return l, err
	}
	program, err := os.Executable()
	if err != nil {
		return l, err
	}
	service := "https://" + api
	l.Notifier = &process{program: program, dir: l.Dir, health: service + "/healthz", client: l.client, changed: o.Changed, status: statusStopped}
	if err = l.Notifier.Start(ctx); err != nil {
		return l, err
	}
	if l.Devices, err = register(ctx, l.World, o.Seed, service, l.client, enrolment); err != nil {
		return l, err
	}
	opened = true
	return l, nil
}

func worldOptions(o options) fakes.Options {
	w := fakes.Options{Version: o.Version, Profile: o.Profile, Seed: o.Seed, Named: people(), Heartbeat: heartbeat}
	if o.Version == exchange.VOnline {
		w.Schemes = []string{iisauth.SchemeBearer}
	}
	switch {
	case o.SMTP != "":
		w.Fixed = map[string]string{"smtp": o.SMTP}
	case !o.AnySMTP && free(smtpAddr):
		w.Fixed = map[string]string{"smtp": smtpAddr}
	}
	return w
}

func free(addr string) bool {
	l, err := net.Listen("tcp", addr)
	return err == nil && l.Close() == nil
}

// SMTP is the address of the SMTP entrance.
func (l *lab) SMTP() string { return l.World.Ready("").SMTP }

// Mailboxes are the addresses of the lab's people.
func (l *lab) Mailboxes() []string {
	var out []string
	for _, name := range people() {
		out = append(out, name+"@"+l.World.Domain())
	}
	return out
}

// Close ends the notifier, then the world, and removes the directory. It does
// so with a lab that was opened half, too.
func (l *lab) Close() error {
	var errs []error
	if l.Notifier != nil {
		errs = append(errs, l.Notifier.Stop())
	}
	if l.client != nil {
		l.client.CloseIdleConnections()
	}
	if l.World != nil {
		errs = append(errs, l.World.Close())
	}
	if l.Dir != "" {
		errs = append(errs, os.RemoveAll(l.Dir))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("clean up: %w", err)
	}
	return nil
}
