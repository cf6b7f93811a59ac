package fakeapns

// ear is what frames are read from: the TLS connection, unless the connection
// is deaf.
type ear conn

func (e *ear) Read(p []byte) (int, error) {
	c := (*conn)(e)
	c.hear()
	n, err := c.tls.Read(p)
	c.hear() // it may have gone deaf while nothing came
	return n, err
}

// hear waits while the connection is deaf.
func (c *conn) hear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.deaf && !c.closed {
		c.hearing.Wait()
	}
}

// listen makes the connection deaf, or hear again.
func (c *conn) listen(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf = !on
	c.hearing.Broadcast()
}
