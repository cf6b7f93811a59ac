package loadgen

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// tunnel is an HTTP proxy that leads every CONNECT to one address, whatever the
// name that was asked for: the way into the fakes for a program whose hosts cannot
// be set.
type tunnel struct {
	URL    string
	to     string
	server *http.Server
	done   chan error
	open   sync.WaitGroup
}

// newTunnel listens on loopback.
func newTunnel(to string) (*tunnel, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &tunnel{URL: "http://" + l.Addr().String(), to: to, done: make(chan error, 1)}
	t.server = &http.Server{Handler: http.HandlerFunc(t.serve), ReadHeaderTimeout: callTimeout}
	go func() { t.done <- t.server.Serve(l) }() // ends with close
	return t, nil
}

func (t *tunnel) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "only CONNECT", http.StatusMethodNotAllowed)
		return
	}
	d := net.Dialer{Timeout: callTimeout}
	far, err := d.DialContext(r.Context(), "tcp", t.to)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	near, ahead, err := http.NewResponseController(w).Hijack()
	if err != nil {
		far.Close()
		return
	}
	t.open.Go(func() { splice(near, ahead, far) })
}

// splice joins two connections until one of them ends. ahead reads from near, with
// what has been read of it already.
func splice(near net.Conn, ahead io.Reader, far net.Conn) {
	defer near.Close()
	defer far.Close()
	if _, err := io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(far, ahead) // either end may go
		far.Close()
	}()
	_, _ = io.Copy(near, far)
	near.Close()
	<-done
}

// close ends it once the programs at its near end have ended.
func (t *tunnel) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopMax)
	defer cancel()
	err := t.server.Shutdown(ctx)
	if served := <-t.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	ended := make(chan struct{})
	go func() { t.open.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(stopMax):
		err = errors.Join(err, errors.New("tunnel: a connection is still open"))
	}
	return err
}
