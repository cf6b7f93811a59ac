package registry_test

import (
	"testing"
	"testing/synctest"

	"mailbell/notifier/engine/enginetest"
	"mailbell/notifier/registry"
	"mailbell/notifier/registry/registrytest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemoryKeepsThePromises(t *testing.T) {
	registrytest.Run(t, func(t *testing.T) registry.Store {
		m := registry.NewMemory()
		t.Cleanup(func() { _ = m.Close() })
		return m
	})
}

func TestJetStreamKeepsThePromises(t *testing.T) {
	registrytest.Run(t, func(t *testing.T) registry.Store { return openJetStream(t) })
}

func openJetStream(t *testing.T) *registry.JetStream {
	t.Helper()
	s, err := registry.NewJetStream(t.Context(), enginetest.JetStream(t), registry.JetStreamOptions{Sealer: enginetest.Sealer(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestMemoryWatchLivesInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := registry.NewMemory()
		changes, err := m.Watch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if c := <-changes; c.Kind != registry.Synced {
			t.Fatalf("got %v", c.Kind)
		}
		synctest.Wait()
		if _, err := m.Put(t.Context(), registrytest.Registration(1)); err != nil {
			t.Fatal(err)
		}
		if c := <-changes; c.Kind != registry.Put {
			t.Fatalf("got %v", c.Kind)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		if _, open := <-changes; open {
			t.Error("the store closed and the Watch goes on")
		}
	})
}
