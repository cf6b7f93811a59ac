package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/api"
	"mailbell/notifier/deliver"
	"mailbell/notifier/engine"
	"mailbell/notifier/registry"
	"mailbell/notifier/watch"
	"mailbell/notifier/wns"
)

// App is one instance. Its methods are safe for concurrent use; Start and Stop
// may be called in any order and any number of times, and an App that was
// stopped can be started again.
type App struct {
	opt Options

	mu     sync.Mutex // held while starting and stopping
	life   *lifecycle // nil while stopped
	addr   net.Addr
	stores Stores
	view   *registry.View
	watch  *watch.Watcher
	send   *deliver.Deliverer
}

// New checks the options. It opens nothing.
func New(o Options) (*App, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	o.complete()
	return &App{opt: o}, nil
}

// Start brings the instance up and returns when it serves: the stores are
// open, the registrations are known, the web service listens. Subscribing to
// Exchange goes on behind it. On failure everything is taken down again.
func (a *App) Start(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.life != nil {
		return nil
	}
	l := newLifecycle()
	if err := a.bringUp(ctx, l); err != nil {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.opt.Drain)
		defer cancel()
		return errors.Join(err, l.unwind(stop))
	}
	a.life = l
	return nil
}

// Stop takes the instance down: first the web service, then the watch, then
// what is in flight to the providers, last the stores. What was not finished
// stays in the stores. Stopping a stopped instance does nothing.
func (a *App) Stop(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.life == nil {
		return nil
	}
	err := a.life.unwind(ctx)
	a.life, a.addr, a.view, a.watch, a.send = nil, nil, nil, nil, nil
	return err
}

// Run starts the instance, waits until ctx ends or a part of it fails, and
// stops it. It returns nil after an orderly end.
func (a *App) Run(ctx context.Context) error {
	if err := a.Start(ctx); err != nil {
		return err
	}
	a.mu.Lock()
	l := a.life
	a.mu.Unlock()
	if l != nil {
		select {
		case <-ctx.Done():
		case <-l.failed:
		}
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.opt.Drain+5*time.Second)
	defer cancel()
	err := a.Stop(stop)
	if l != nil {
		err = errors.Join(l.failure(), err)
	}
	return err
}

// Addr is where the web service listens; nil while it does not.
func (a *App) Addr() net.Addr {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.addr
}

// Watcher is the extender's watcher, for status; nil while it does not run.
func (a *App) Watcher() *watch.Watcher {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.watch
}

func (a *App) bringUp(ctx context.Context, l *lifecycle) error {
	if err := a.openStores(ctx, l); err != nil {
		return err
	}
	a.view = registry.NewView(a.stores.Registry, a.opt.Logger)
	if a.opt.plays(Extender) {
		if err := a.newWatcher(l); err != nil {
			return err
		}
	}
	l.run("registry view", a.view.Run)
	select {
	case <-a.view.Synced():
	case <-ctx.Done():
		return fmt.Errorf("app: the registrations were not read in time: %w", ctx.Err())
	}
	if a.opt.plays(Proxy) {
		if err := a.startDelivery(l); err != nil {
			return err
		}
	}
	if a.watch != nil {
		l.run("watcher", a.watch.Run)
	}
	if a.opt.plays(Portal) {
		return a.serve(l)
	}
	return nil
}

func (a *App) openStores(ctx context.Context, l *lifecycle) error {
	if a.opt.Stores != nil {
		a.stores = *a.opt.Stores
		return nil
	}
	e, err := engine.Open(ctx, a.opt.Engine)
	if err != nil {
		return err
	}
	l.push("engine", e.Close)
	a.stores = Stores{Registry: e.Registry(), Queue: e.Queue(), Bookmarks: e.Bookmarks(), Ledger: e.Ledger()}
	return nil
}

// serve starts the registration web service.
func (a *App) serve(l *lifecycle) error {
	o := a.opt.API
	handler, err := api.New(api.Options{
		Registry: a.stores.Registry, View: a.view, Ledger: a.stores.Ledger,
		Keys: o.Keys, Audience: o.Audience, Limits: o.Limits,
		Approved:     a.opt.Policy.Approved,
		CheckChannel: wns.CheckChannel,
		Wiped:        a.wiped,
		Logger:       a.opt.Logger,
	})
	if err != nil {
		return err
	}
	listener, err := a.opt.Network.Listen("tcp", o.Listen)
	if err != nil {
		return fmt.Errorf("app: API.Listen: %w; choose another address or stop what occupies it", err)
	}
	a.addr = listener.Addr()
	if o.TLS != nil {
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{*o.TLS}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	}
	srv := &http.Server{
		Handler: handler.Handler(), ReadHeaderTimeout: headerTimeout, ReadTimeout: requestTimeout, WriteTimeout: requestTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytesMax,
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			l.fail(fmt.Errorf("app: web service: %w", err))
		}
	}()
	l.push("web service", func(ctx context.Context) error {
		err := srv.Shutdown(ctx)
		if err != nil {
			err = errors.Join(err, srv.Close())
		}
		<-done
		return err
	})
	a.opt.Logger.Info("registration service listens", "addr", a.addr.String(), "tls", o.TLS != nil)
	return nil
}

// Bounds of the web service; its answers are small and quick.
const (
	headerTimeout  = 5 * time.Second
	requestTimeout = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	headerBytesMax = 16 << 10
)

// wiped makes a device hear nothing more: what is queued for it is thrown away
// and what is being sent is cancelled, before it returns.
func (a *App) wiped(ctx context.Context, d notifier.DeviceID) error {
	if err := a.stores.Queue.Purge(ctx, d); err != nil {
		return fmt.Errorf("app: queue of %s: %w", d, err)
	}
	if a.send != nil {
		a.send.Wiped(ctx, d)
	}
	return nil
}
