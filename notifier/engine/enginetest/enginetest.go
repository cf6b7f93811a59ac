// Package enginetest starts what the tests of the stores run against.
package enginetest

import (
	"bytes"
	"testing"
	"time"

	"mailbell/notifier/engine/embedded"
	"mailbell/notifier/seal"

	"github.com/nats-io/nats.go/jetstream"
)

// publishTimeout bounds the wait for an acknowledgement.
const publishTimeout = 10 * time.Second

// JetStream starts an embedded server in a directory of the test and returns
// a context to it. Both end with the test.
func JetStream(t testing.TB) jetstream.JetStream {
	t.Helper()
	return JetStreamIn(t, t.TempDir())
}

// JetStreamIn is the same in a directory whose files a test looks at.
func JetStreamIn(t testing.TB, dir string) jetstream.JetStream {
	t.Helper()
	s, err := embedded.Start(embedded.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	nc, err := s.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncTimeout(publishTimeout))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// Sealer returns a sealer of a fixed key.
func Sealer(t testing.TB) *seal.Sealer {
	t.Helper()
	s, err := seal.New(bytes.Repeat([]byte{42}, seal.KeyLen))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
