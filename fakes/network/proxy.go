package network

import (
	"io"
	"net"
	"net/http"
	"sync"
)

// Proxy is an HTTP proxy into a network, for programs that cannot be told where a
// host is: a CONNECT leads to the host of that real name, and everything else is
// refused. Safe for concurrent use.
type Proxy struct {
	network Network
	refused func(error)

	mu     sync.Mutex
	open   map[net.Conn]struct{} // near ends; nil: closed
	splice sync.WaitGroup
}

// NewProxy makes a proxy. refused is told why a CONNECT failed.
func NewProxy(n Network, refused func(error)) *Proxy {
	return &Proxy{network: n, refused: refused, open: map[net.Conn]struct{}{}}
}

// ServeHTTP implements [http.Handler].
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "only CONNECT leads anywhere", http.StatusMethodNotAllowed)
		return
	}
	far, err := p.network.Dial(r.Context(), "tcp", r.Host)
	if err != nil {
		p.refused(err)
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	near, ahead, err := http.NewResponseController(w).Hijack()
	if err != nil {
		far.Close()
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		near.Close()
		far.Close()
		return
	}
	p.open[near] = struct{}{}
	p.splice.Go(func() {
		join(near, ahead, far)
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, near)
	})
}

// join copies between two connections until one of them ends. ahead reads from
// near, with what has been read of it already.
func join(near net.Conn, ahead io.Reader, far net.Conn) {
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

// Close ends every connection that leads through the proxy, and waits for that.
func (p *Proxy) Close() error {
	p.mu.Lock()
	for near := range p.open {
		near.Close()
	}
	p.open = nil
	p.mu.Unlock()
	p.splice.Wait()
	return nil
}
