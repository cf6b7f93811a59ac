package api

import (
	"container/list"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// rates bounds the requests of each subject. It remembers a bounded number of
// them; whoever has been quiet the longest is forgotten first, which gives them
// a full burst again.
type rates struct {
	limit rate.Limit
	burst int
	most  int

	mu       sync.Mutex
	subjects map[string]*list.Element
	recent   *list.List // of *subject, the latest first
}

type subject struct {
	name    string
	limiter *rate.Limiter
}

func newRates(l Limits) *rates {
	return &rates{
		limit: rate.Limit(l.RatePerSecond), burst: l.RateBurst, most: l.SubjectsMax,
		subjects: map[string]*list.Element{}, recent: list.New(),
	}
}

// allow takes one request of the subject, or says when to come again.
func (r *rates) allow(name string, now time.Time) (ok bool, after time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.subjects[name]
	if e == nil {
		if len(r.subjects) >= r.most {
			oldest := r.recent.Back()
			delete(r.subjects, oldest.Value.(*subject).name)
			r.recent.Remove(oldest)
		}
		e = r.recent.PushFront(&subject{name, rate.NewLimiter(r.limit, r.burst)})
		r.subjects[name] = e
	}
	r.recent.MoveToFront(e)
	limiter := e.Value.(*subject).limiter
	if limiter.AllowN(now, 1) {
		return true, 0
	}
	missing := 1 - limiter.TokensAt(now)
	return false, time.Duration(missing / float64(r.limit) * float64(time.Second))
}
