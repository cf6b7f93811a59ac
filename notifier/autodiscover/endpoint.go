package autodiscover

import (
	"slices"
	"sync"
)

// endpoint is what is known about one URL. It is safe for concurrent use.
type endpoint struct {
	url string
	pox bool

	mu       sync.Mutex
	batch    int      // users in one request
	settings []string // that this server knows
}

func newEndpoint(url string, batch int) *endpoint {
	e := &endpoint{url: url, pox: isPOX(url), batch: batch, settings: settingNames()}
	if e.pox {
		e.batch = 1
	}
	return e
}

func (e *endpoint) batchMax() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.batch
}

// lower remembers that no more than n users may be in one request.
func (e *endpoint) lower(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.batch = max(1, min(e.batch, n))
}

func (e *endpoint) wanted() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.settings)
}

// drop stops asking for a setting that this server does not know, and reports
// whether it was asked for.
func (e *endpoint) drop(name string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.Index(e.settings, name)
	if i < 0 || len(e.settings) == 1 {
		return false
	}
	e.settings = slices.Delete(e.settings, i, i+1)
	return true
}
