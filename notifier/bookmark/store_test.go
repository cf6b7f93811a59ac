package bookmark_test

import (
	"errors"
	"testing"

	"mailbell/notifier/bookmark"
	"mailbell/notifier/bookmark/bookmarktest"
	"mailbell/notifier/engine/enginetest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemoryKeepsThePromises(t *testing.T) {
	bookmarktest.Run(t, func(*testing.T) bookmark.Store { return bookmark.NewMemory() })
}

func TestJetStreamKeepsThePromises(t *testing.T) {
	bookmarktest.Run(t, func(t *testing.T) bookmark.Store {
		s, err := bookmark.NewJetStream(t.Context(), enginetest.JetStream(t), bookmark.JetStreamOptions{Sealer: enginetest.Sealer(t)})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestAClosedStoreSaysSo(t *testing.T) {
	js := enginetest.JetStream(t)
	s, err := bookmark.NewJetStream(t.Context(), js, bookmark.JetStreamOptions{Sealer: enginetest.Sealer(t)})
	if err != nil {
		t.Fatal(err)
	}
	js.Conn().Close()
	m := bookmark.NewMemory()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]bookmark.Store{"memory": m, "JetStream": s} {
		if err := s.Put(t.Context(), bookmarktest.Bookmark(1)); !errors.Is(err, bookmark.ErrClosed) {
			t.Errorf("%s: Put: %v", name, err)
		}
		if _, err := s.Get(t.Context(), "user1@contoso.test"); !errors.Is(err, bookmark.ErrClosed) {
			t.Errorf("%s: Get: %v", name, err)
		}
		if _, err := s.All(t.Context()); !errors.Is(err, bookmark.ErrClosed) {
			t.Errorf("%s: All: %v", name, err)
		}
		if err := s.Delete(t.Context(), "user1@contoso.test"); !errors.Is(err, bookmark.ErrClosed) {
			t.Errorf("%s: Delete: %v", name, err)
		}
	}
}
