package iisauth

import (
	"strings"
	"sync"
	"time"
)

// lockouts counts wrong passwords by account and locks accounts.
type lockouts struct {
	threshold int
	window    time.Duration
	lasting   time.Duration

	mu       sync.Mutex
	accounts map[string]*tries
}

type tries struct {
	total  int         // wrong passwords ever
	recent []time.Time // those that still count, at most threshold
	until  time.Time   // locked until
}

func newLockouts(o Options) *lockouts {
	return &lockouts{
		threshold: o.LockoutThreshold, window: o.LockoutWindow, lasting: o.LockoutFor,
		accounts: map[string]*tries{},
	}
}

func lockoutKey(a Account) string { return strings.ToLower(a.NetBIOS + `\` + a.User) }

// wrong counts a wrong password and says whether the account is locked now.
func (l *lockouts) wrong(a Account) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.of(a)
	t.total++
	if l.threshold <= 0 {
		return false
	}
	now := time.Now()
	kept := t.recent[:0]
	for _, at := range t.recent {
		if now.Sub(at) < l.window {
			kept = append(kept, at)
		}
	}
	t.recent = append(kept, now)
	if len(t.recent) < l.threshold {
		return false
	}
	t.recent, t.until = nil, now.Add(l.lasting)
	return true
}

// right forgets the count after a good password.
func (l *lockouts) right(a Account) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.accounts[lockoutKey(a)]; t != nil {
		t.recent = nil
	}
}

func (l *lockouts) locked(a Account) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.accounts[lockoutKey(a)]
	return t != nil && time.Now().Before(t.until)
}

func (l *lockouts) of(a Account) *tries {
	key := lockoutKey(a)
	t := l.accounts[key]
	if t == nil {
		t = &tries{}
		l.accounts[key] = t
	}
	return t
}

// Failures is how often an account was tried with a wrong password. name has
// any form a client may use.
func (s *Site) Failures(name string) int {
	a, ok := s.lookup(SplitUser(name))
	if !ok {
		return 0
	}
	s.lockouts.mu.Lock()
	defer s.lockouts.mu.Unlock()
	if t := s.lockouts.accounts[lockoutKey(a)]; t != nil {
		return t.total
	}
	return 0
}

// Locked says whether wrong passwords have locked the account.
func (s *Site) Locked(name string) bool {
	a, ok := s.lookup(SplitUser(name))
	return ok && s.lockouts.locked(a)
}

// Unlock lifts a lock-out, as an administrator does.
func (s *Site) Unlock(name string) {
	a, ok := s.lookup(SplitUser(name))
	if !ok {
		return
	}
	s.lockouts.mu.Lock()
	defer s.lockouts.mu.Unlock()
	if t := s.lockouts.accounts[lockoutKey(a)]; t != nil {
		t.recent, t.until = nil, time.Time{}
	}
}

func (s *Site) lookup(user, domain string) (Account, bool) {
	if s.options.Directory == nil {
		return Account{}, false
	}
	return s.options.Directory.LookupAccount(user, domain)
}
