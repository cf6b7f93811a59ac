package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"

	"mailbell/notifier"
)

// The admin service tells an operator how the instance is doing:
//
//	GET /v1/status               the instance (Status)
//	GET /v1/mailboxes/{address}  one mailbox (Explanation)
//	GET /debug/pprof/heap, /goroutine, /profile?seconds=30  for go tool pprof
//
// It changes nothing. It listens on a loopback address only, and answers only
// those who call it by one, so that no web page can have a browser ask it.

// serveAdmin starts the admin service.
func (in *instance) serveAdmin() error {
	listener, err := in.opt.Network.Listen("tcp", in.opt.Admin.Listen)
	if err != nil {
		return fmt.Errorf("app: Admin.Listen: %w; choose another address or stop what occupies it", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { answer(w, in.status()) })
	mux.HandleFunc("GET /v1/mailboxes/{address}", func(w http.ResponseWriter, r *http.Request) {
		m, err := notifier.ParseMailbox(r.PathValue("address"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, in.explain(r.Context(), m))
	})
	p := &profiles{over: make(chan struct{})}
	p.handle(mux)
	in.serveHTTP("admin service", listener, localOnly(mux))
	in.life.push("profiles", func(context.Context) error { close(p.over); return nil })
	in.opt.Logger.Info("admin service listens", "addr", listener.Addr().String())
	return nil
}

func answer(w http.ResponseWriter, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(append(body, '\n')) // the client may be gone
}

// localOnly turns away who calls the service by a name that is not this host's
// own: a name in the DNS may lead anywhere.
func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		host = strings.Trim(host, "[]")
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "call the admin service by a loopback address", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
