package app

import (
	"fmt"
	"net/http"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync/atomic"
	"time"
)

// profileMax bounds a CPU profile.
const profileMax = 5 * time.Minute

// profiles serves what `go tool pprof` reads: heap, goroutine, and CPU as profile.
// They name functions and hold no content of mails.
type profiles struct {
	busy atomic.Bool   // the CPU's is being taken
	over chan struct{} // closed when the instance stops, which waits for no profile
}

func (p *profiles) handle(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/pprof/heap", func(w http.ResponseWriter, _ *http.Request) {
		runtime.GC() // or it tells of the collection before
		written(w, "heap")
	})
	mux.HandleFunc("GET /debug/pprof/goroutine", func(w http.ResponseWriter, _ *http.Request) { written(w, "goroutine") })
	mux.HandleFunc("GET /debug/pprof/profile", p.cpu)
}

func written(w http.ResponseWriter, name string) {
	w.Header().Set("Content-Type", "application/octet-stream")
	_ = pprof.Lookup(name).WriteTo(w, 0) // the client may be gone
}

// cpu writes a profile of the next so many seconds, 30 unless told.
func (p *profiles) cpu(w http.ResponseWriter, r *http.Request) {
	d := 30 * time.Second
	if text := r.FormValue("seconds"); text != "" {
		n, err := strconv.Atoi(text)
		if d = time.Duration(n) * time.Second; err != nil || d <= 0 || d > profileMax {
			http.Error(w, fmt.Sprintf("seconds: %q; 1 to %d is allowed", text, int(profileMax.Seconds())), http.StatusBadRequest)
			return
		}
	}
	if !p.busy.CompareAndSwap(false, true) {
		http.Error(w, "another profile is being taken", http.StatusConflict)
		return
	}
	defer p.busy.Store(false)
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d + requestTimeout)); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if err := pprof.StartCPUProfile(w); err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	defer pprof.StopCPUProfile()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
	case <-p.over:
	}
}
