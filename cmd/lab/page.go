package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"mailbell/fakes/control"
)

// Limits of the page's server.
const (
	headerTimeout   = 5 * time.Second
	idleTimeout     = time.Minute
	headerBytesMax  = 16 << 10
	requestMax      = 256 << 10 // bytes of a POST
	recipientsMax   = 20        // of a mail from the form
	eventTimeout    = 10 * time.Second
	eventPause      = 15 * time.Second // a comment goes out after so much silence
	shutdownTimeout = 5 * time.Second
)

//go:embed page
var assets embed.FS

// page is the web page of a lab: its assets, its events, and what it can do.
type page struct {
	lab *lab
	hub *hub

	mu    sync.Mutex
	trail *trail
	out   bool // APNs outage
	moved int  // mailboxes moved so far
}

// serve serves the page of a new lab until ctx ends.
func serve(ctx context.Context, o options, addr string, out io.Writer) (err error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("the page cannot be served at %s: %w; stop what occupies it, or choose another address with --addr 127.0.0.1:0", addr, err)
	}
	defer listener.Close() // closed by the server, as a rule
	p := &page{hub: newHub()}
	o.Changed = p.notifierChanged
	fmt.Fprintln(out, "Starting Exchange, APNs, WNS and the notifier …")
	l, err := open(ctx, o)
	if err != nil {
		if ctx.Err() != nil {
			return nil // told to end while starting
		}
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	p.begin(l)

	srv := &http.Server{
		Handler: p.handler(loopback(listener.Addr())), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytesMax,
		ErrorLog: log.New(io.Discard, "", 0),
	}
	g := newGroup(ctx)
	g.Go(p.follow)
	g.Go(func(context.Context) error {
		if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("page: %w", err)
		}
		return nil
	})
	g.Go(func(ctx context.Context) error {
		<-ctx.Done()
		p.hub.Close()
		stopped := l.Notifier.Stop() // a start in progress ends, too
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			stopped = errors.Join(stopped, srv.Close())
		}
		return stopped
	})
	fmt.Fprintf(out, "\n  Page   http://%s\n  SMTP   %s, to %s\n\nCtrl-C ends everything.\n", listener.Addr(), l.SMTP(), strings.Join(l.Mailboxes(), ", "))
	return g.Wait()
}

// begin gives the page its lab.
func (p *page) begin(l *lab) {
	p.mu.Lock()
	p.lab, p.trail = l, newTrail(l.Devices)
	p.mu.Unlock()
	p.show()
}

// follow tells the pages what the journal says, until ctx ends.
func (p *page) follow(ctx context.Context) error {
	var seq uint64
	for {
		entries := p.lab.World.Journal.Wait(ctx, seq)
		if len(entries) == 0 {
			return nil
		}
		p.mu.Lock()
		var events []event
		for _, e := range entries {
			events = append(events, p.trail.follow(e)...)
			seq = e.Seq
		}
		p.mu.Unlock()
		p.hub.Publish(events...)
		p.show()
	}
}

// notifierChanged is called when the notifier's status is another.
func (p *page) notifierChanged() {
	p.mu.Lock()
	if p.lab == nil { // still starting
		p.mu.Unlock()
		return
	}
	status := p.lab.Notifier.Status()
	if status != statusRunning {
		p.trail.notifierEnded()
	}
	p.mu.Unlock()
	kind := "bad"
	if status == statusRunning {
		kind = "good"
	}
	p.hub.Publish(newsEvent{At: time.Now(), Kind: kind, Text: "notifier " + status})
	p.show()
}

// show tells the pages how things stand.
func (p *page) show() {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := stateEvent{
		Notifier: p.lab.Notifier.Status(), Streams: len(p.trail.streams), Outage: p.out,
		SMTP: p.lab.SMTP(), Mailboxes: p.lab.Mailboxes(),
	}
	if median, ok := p.trail.median(); ok {
		ms := milliseconds(median)
		s.P50 = &ms
	}
	for _, d := range p.lab.Devices {
		s.Devices = append(s.Devices, deviceState{ID: d.ID, Name: d.Name, Mailbox: d.Mailbox, Kind: d.Kind, Locale: d.Locale, Hidden: d.Hidden})
	}
	p.hub.State(s)
}

// handler serves the page. On a loopback address only requests that name one
// are answered, so that no name of somebody else's can be pointed at the lab
// (DNS rebinding).
func (p *page) handler(local bool) http.Handler {
	files, err := fs.Sub(assets, "page")
	if err != nil {
		panic(err) // the directory is in the binary
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /events", p.events)
	mux.HandleFunc("POST /mail", p.mail)
	mux.HandleFunc("POST /do", p.do)
	same := http.NewCrossOriginProtection()
	same.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusForbidden, "", errors.New("this request came from another site"))
	}))
	guarded := same.Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if local && !localName(r.Host) {
			answer(w, http.StatusMisdirectedRequest, "", errors.New("open the lab as localhost or 127.0.0.1"))
			return
		}
		guarded.ServeHTTP(w, r)
	})
}

func loopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

func localName(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// events is the stream of server-sent events.
func (p *page) events(w http.ResponseWriter, r *http.Request) {
	s, err := p.hub.Subscribe(r.Header.Get("Last-Event-ID"))
	if err != nil {
		answer(w, http.StatusServiceUnavailable, "", err)
		return
	}
	defer p.hub.Unsubscribe(s)
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	write := func(text []byte) bool {
		_ = control.SetWriteDeadline(time.Now().Add(eventTimeout)) // a recorder has none
		_, err := w.Write(text)
		return err == nil
	}
	for _, f := range s.Past {
		if !write(f.text) {
			return
		}
	}
	silence := time.NewTicker(eventPause)
	defer silence.Stop()
	for control.Flush() == nil {
		select {
		case f, ok := <-s.Frames:
			if !ok || !write(f.text) {
				return
			}
			silence.Reset(eventPause)
		case <-silence.C:
			if !write([]byte(":\n\n")) {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

// mail sends what was put into the form, by SMTP like any other mail.
func (p *page) mail(w http.ResponseWriter, r *http.Request) {
	var in struct {
		To      []string `json:"to"`
		From    string   `json:"from"`
		Subject string   `json:"subject"`
		Body    string   `json:"body"`
	}
	if err := decode(w, r, &in); err != nil {
		answer(w, statusOf(err), "", err)
		return
	}
	if len(in.To) > recipientsMax {
		answer(w, http.StatusBadRequest, "", fmt.Errorf("to: at most %d addresses", recipientsMax))
		return
	}
	from, raw, err := control.Letter{To: in.To, From: in.From, Subject: in.Subject, Body: in.Body}.Message()
	if err == nil {
		err = send(r.Context(), p.lab.SMTP(), from, in.To, raw)
	}
	if err != nil {
		answer(w, http.StatusBadRequest, "", err)
		return
	}
	answer(w, http.StatusOK, "sent to "+strings.Join(in.To, ", "), nil)
}

// do does something to the lab. It goes on when the page has gone.
func (p *page) do(w http.ResponseWriter, r *http.Request) {
	var in struct {
		What string `json:"what"`
	}
	if err := decode(w, r, &in); err != nil {
		answer(w, statusOf(err), "", err)
		return
	}
	act, ok := actions[in.What]
	if !ok {
		answer(w, http.StatusBadRequest, "", fmt.Errorf("what: %q is not known; cut, move, restart, outage, heal, kill and start are", in.What))
		return
	}
	said, err := act(context.WithoutCancel(r.Context()), p)
	if err != nil {
		answer(w, statusOf(err), "", err)
		return
	}
	answer(w, http.StatusOK, said, nil)
}

// requestError is a request that cannot be understood.
type requestError struct {
	status int
	err    error
}

func (e *requestError) Error() string { return e.err.Error() }

func statusOf(err error) int {
	var bad *requestError
	switch {
	case errors.As(err, &bad):
		return bad.status
	case errors.Is(err, errConflict):
		return http.StatusConflict
	}
	return http.StatusInternalServerError
}

// decode reads a JSON body strictly.
func decode(w http.ResponseWriter, r *http.Request, into any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return &requestError{http.StatusUnsupportedMediaType, errors.New("content type: want application/json")}
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, requestMax))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = errors.New("something follows the object")
		}
	}
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		return &requestError{http.StatusRequestEntityTooLarge, fmt.Errorf("body: at most %d bytes", requestMax)}
	}
	return &requestError{http.StatusBadRequest, fmt.Errorf("body: want one JSON object: %w", err)}
}

// answer answers a POST: what was done, or why not.
func answer(w http.ResponseWriter, status int, said string, err error) {
	out := struct {
		Said  string `json:"said,omitempty"`
		Error string `json:"error,omitempty"`
	}{Said: said}
	if err != nil {
		out.Error = err.Error()
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(out) // the page is gone: nobody to tell
}
