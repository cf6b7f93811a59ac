package apns

import (
	"fmt"
	"sync"
	"time"
)

// providerToken is a signed token and the time it names as its issue.
type providerToken struct {
	bearer string
	issued time.Time
}

// provider holds the one provider token that all lanes share and mints the
// next: at tokenRenewAge, or earlier when Apple calls the token expired, but
// never twice within tokenUpdateGap. Safe for concurrent use.
type provider struct {
	key *Key

	mu       sync.Mutex
	current  providerToken
	dead     string    // bearer that Apple called expired
	mintFrom time.Time // no minting before, unless the token is past all use
}

// token is the token to use now. An error means that none could be signed.
func (p *provider) token(now time.Time) (providerToken, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	age := now.Sub(p.current.issued)
	switch {
	case p.current.bearer == "", age >= tokenAgeMax, age >= tokenRenewAge && !now.Before(p.mintFrom):
		if err := p.mint(now); err != nil && p.current.bearer == "" {
			return providerToken{}, err
		}
	}
	return p.current, nil
}

// mint replaces the current token. A failure leaves it.
func (p *provider) mint(now time.Time) error {
	bearer, err := p.key.sign(now)
	if err != nil {
		return fmt.Errorf("apns: sign provider token: %w", err)
	}
	p.current = providerToken{bearer: bearer, issued: now}
	p.mintFrom = now.Add(tokenUpdateGap)
	return nil
}

// expired says that Apple called this bearer expired. A new one is minted
// unless that has happened already or the last one is too young.
func (p *provider) expired(bearer string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if bearer != p.current.bearer || now.Before(p.mintFrom) {
		return
	}
	if p.mint(now) == nil {
		p.dead = bearer
	}
}

// hold stops minting for tokenUpdateGap: Apple found that tokens change too
// often.
func (p *provider) hold(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mintFrom = now.Add(tokenUpdateGap)
}

// isDead says whether Apple called the bearer expired.
func (p *provider) isDead(bearer string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bearer != "" && bearer == p.dead
}
