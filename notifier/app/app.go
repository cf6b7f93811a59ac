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
	opt  Options
	turn chan struct{} // lent to whoever starts or stops

	mu  sync.Mutex
	now *instance // nil while stopped
}

// instance is what one Start brought up. Its parts are set before anything can
// ask for them and never change.
type instance struct {
	opt     Options
	life    *lifecycle
	addr    net.Addr
	started time.Time
	stores  Stores
	view    *registry.View
	rereads []reread
	watch   *watch.Watcher
	send    *deliver.Deliverer
}

// New checks the options. It opens nothing.
func New(o Options) (*App, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	o.complete()
	return &App{opt: o, turn: make(chan struct{}, 1)}, nil
}

// Start brings the instance up and returns when it serves: the stores are
// open, the registrations are known, the web service listens. Subscribing to
// Exchange goes on behind it. On failure everything is taken down again.
func (a *App) Start(ctx context.Context) error {
	_, err := a.start(ctx)
	return err
}

func (a *App) start(ctx context.Context) (*instance, error) {
	if err := a.take(ctx); err != nil {
		return nil, err
	}
	defer a.giveBack()
	if in := a.current(); in != nil {
		return in, nil
	}
	in := &instance{opt: a.opt, life: newLifecycle(), started: time.Now()}
	if err := in.bringUp(ctx); err != nil {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.opt.Drain)
		defer cancel()
		return nil, errors.Join(err, in.life.unwind(stop))
	}
	a.become(in)
	return in, nil
}

// Stop takes the instance down: first the web service, then the watch, then
// what is in flight to the providers, last the stores. What was not finished
// stays in the stores. When ctx ends first, every part that is left gets
// stopGrace, and what did not end in its time is named in the error. Stopping a
// stopped instance does nothing.
func (a *App) Stop(ctx context.Context) error {
	if err := a.take(ctx); err != nil {
		return err
	}
	defer a.giveBack()
	in := a.current()
	if in == nil {
		return nil
	}
	a.become(nil)
	return in.life.unwind(ctx)
}

// Run starts the instance, waits until ctx ends, a part of it fails, or it is
// stopped, and stops it. It returns nil after an orderly end.
func (a *App) Run(ctx context.Context) error {
	in, err := a.start(ctx)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-in.life.failed:
	case <-in.life.over:
		return in.life.failure() // somebody else has stopped it
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.opt.Drain+5*time.Second)
	defer cancel()
	err = a.Stop(stop)
	return errors.Join(in.life.failure(), err)
}

// take waits for the turn to start or stop.
func (a *App) take(ctx context.Context) error {
	select {
	case a.turn <- struct{}{}:
		return nil
	default:
	}
	select {
	case a.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("app: still starting or stopping: %w", ctx.Err())
	}
}

func (a *App) giveBack() { <-a.turn }

func (a *App) current() *instance {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now
}

func (a *App) become(in *instance) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = in
}

// Addr is where the web service listens; nil while it does not.
func (a *App) Addr() net.Addr {
	if in := a.current(); in != nil {
		return in.addr
	}
	return nil
}

// Watcher is the extender's watcher, for status; nil while it does not run.
func (a *App) Watcher() *watch.Watcher {
	if in := a.current(); in != nil {
		return in.watch
	}
	return nil
}

func (in *instance) bringUp(ctx context.Context) error {
	if err := in.openStores(ctx); err != nil {
		return err
	}
	in.view = registry.NewView(in.stores.Registry, in.opt.Logger)
	if in.opt.plays(Extender) {
		if err := in.newWatcher(); err != nil {
			return err
		}
	}
	in.life.run("registry view", in.view.Run)
	select {
	case <-in.view.Synced():
	case <-in.life.failed:
		return in.life.failure()
	case <-ctx.Done():
		return fmt.Errorf("app: the registrations were not read in time: %w", ctx.Err())
	}
	if in.opt.plays(Proxy) {
		if err := in.startDelivery(); err != nil {
			return err
		}
	}
	if in.watch != nil {
		in.life.run("watcher", in.watch.Run)
		if len(in.rereads) > 0 {
			in.life.run("credentials", in.keepCredentials)
		}
	}
	if in.opt.Admin.Listen != "" {
		if err := in.serveAdmin(); err != nil {
			return err
		}
	}
	if in.opt.plays(Portal) {
		return in.serve()
	}
	return nil
}

func (in *instance) openStores(ctx context.Context) error {
	if in.opt.Stores != nil {
		in.stores = *in.opt.Stores
		return nil
	}
	e, err := engine.Open(ctx, in.opt.Engine)
	if err != nil {
		return err
	}
	in.life.push("engine", e.Close)
	in.stores = Stores{Registry: e.Registry(), Queue: e.Queue(), Bookmarks: e.Bookmarks(), Ledger: e.Ledger()}
	return nil
}

// serve starts the registration web service.
func (in *instance) serve() error {
	o := in.opt.API
	handler, err := api.New(api.Options{
		Registry: in.stores.Registry, View: in.view, Ledger: in.stores.Ledger,
		Keys: o.Keys, Audience: o.Audience, Limits: o.Limits,
		Approved:     in.opt.Policy.Approved,
		CheckChannel: wns.CheckChannel,
		Wiped:        in.wiped,
		Logger:       in.opt.Logger,
	})
	if err != nil {
		return err
	}
	listener, err := in.opt.Network.Listen("tcp", o.Listen)
	if err != nil {
		return fmt.Errorf("app: API.Listen: %w; choose another address or stop what occupies it", err)
	}
	in.addr = listener.Addr()
	if o.TLS != nil {
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{*o.TLS}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	}
	in.serveHTTP("web service", listener, handler.Handler())
	in.opt.Logger.Info("registration service listens", "addr", in.addr.String(), "tls", o.TLS != nil)
	return nil
}

// serveHTTP serves until the instance stops.
func (in *instance) serveHTTP(name string, listener net.Listener, handler http.Handler) {
	srv := &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: requestTimeout, WriteTimeout: requestTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytesMax,
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			in.life.fail(fmt.Errorf("app: %s: %w", name, err))
		}
	}()
	in.life.push(name, func(ctx context.Context) error {
		err := srv.Shutdown(ctx)
		if err != nil {
			err = errors.Join(err, srv.Close())
		}
		<-done
		return err
	})
}

// Bounds of the web services; their answers are small and quick.
const (
	headerTimeout  = 5 * time.Second
	requestTimeout = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	headerBytesMax = 16 << 10
)

// wiped makes a device hear nothing more: what is queued for it is thrown away
// and what is being sent is cancelled, before it returns.
func (in *instance) wiped(ctx context.Context, d notifier.DeviceID) error {
	if err := in.stores.Queue.Purge(ctx, d); err != nil {
		return fmt.Errorf("app: queue of %s: %w", d, err)
	}
	if in.send != nil {
		in.send.Wiped(ctx, d)
	}
	return nil
}
