package fakeapns

import (
	"crypto/tls"
	"errors"
	"time"

	"mailbell/fakes/fault"
	"mailbell/fakes/testcert"
)

var errHandshakeFault = errors.New("fakeapns: no handshake, as the fault apns.handshake asks")

// handshake speaks TLS, or fails to as a fault says.
func (c *conn) handshake() error {
	f, struck := c.s.o.Faults.Strikes(faultHandshake, fault.Scope{Server: "apns"})
	if !struck {
		return c.tls.Handshake()
	}
	switch f.Args["how"] {
	case "slow":
		c.rest(f.Duration("delay", slowDefault))
		return c.tls.Handshake()
	case "certificate": // of an authority that nobody trusts
		stranger, err := testcert.NewAuthority()
		if err != nil {
			return err
		}
		config := c.s.tls.Clone()
		cert, err := stranger.Server("api.push.apple.com")
		if err != nil {
			return err
		}
		config.Certificates = []tls.Certificate{cert}
		return tls.Server(c.raw, config).Handshake()
	}
	return errHandshakeFault // the raw connection is closed in the client's face
}

// rest waits, unless the connection is closed before.
func (c *conn) rest(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	over := false
	t := time.AfterFunc(d, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		over = true
		c.hearing.Broadcast()
	})
	defer t.Stop()
	for !over && !c.closed {
		c.hearing.Wait()
	}
}
