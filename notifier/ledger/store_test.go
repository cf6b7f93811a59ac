package ledger_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"mailbell/notifier/engine/enginetest"
	"mailbell/notifier/ledger"
	"mailbell/notifier/ledger/ledgertest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemoryKeepsThePromises(t *testing.T) {
	ledgertest.Run(t, func(_ *testing.T, age time.Duration) ledger.Store { return ledger.NewMemoryFor(age) })
}

func TestJetStreamKeepsThePromises(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T, age time.Duration) ledger.Store { return openJetStream(t, age) })
}

func openJetStream(t testing.TB, age time.Duration) *ledger.JetStream {
	t.Helper()
	s, err := ledger.NewJetStream(t.Context(), enginetest.JetStream(t), ledger.JetStreamOptions{Sealer: enginetest.Sealer(t), Age: age})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMemoryKeepsVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ledger.NewMemory()
		if err := s.Append(t.Context(), ledgertest.Receipt("ada@contoso.test", "phone", 1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(ledger.AgeDefault)
		if rs, err := s.Device(t.Context(), "phone", 1); err != nil || len(rs) != 1 {
			t.Errorf("on the last day: %d, %v", len(rs), err)
		}
		time.Sleep(time.Nanosecond)
		if rs, err := s.Device(t.Context(), "phone", 1); err != nil || len(rs) != 0 {
			t.Errorf("after the last day: %d, %v", len(rs), err)
		}
	})
}

func TestAClosedLedgerSaysSo(t *testing.T) {
	js := enginetest.JetStream(t)
	s, err := ledger.NewJetStream(t.Context(), js, ledger.JetStreamOptions{Sealer: enginetest.Sealer(t)})
	if err != nil {
		t.Fatal(err)
	}
	js.Conn().Close()
	m := ledger.NewMemory()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]ledger.Store{"memory": m, "JetStream": s} {
		if err := s.Append(t.Context(), ledgertest.Receipt("ada@contoso.test", "phone", 1)); !errors.Is(err, ledger.ErrClosed) {
			t.Errorf("%s: Append: %v", name, err)
		}
		if _, err := s.Device(t.Context(), "phone", 1); !errors.Is(err, ledger.ErrClosed) {
			t.Errorf("%s: Device: %v", name, err)
		}
	}
}

func BenchmarkDeviceOfAThousand(b *testing.B) {
	s := openJetStream(b, 0)
	for n := range ledger.KeptMax {
		if err := s.Append(b.Context(), ledgertest.Receipt("ada@contoso.test", "phone", n)); err != nil {
			b.Fatal(err)
		}
	}
	for _, limit := range []int{20, ledger.ReadMax} {
		b.Run(map[bool]string{true: "last 20", false: "all"}[limit == 20], func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Device(b.Context(), "phone", limit); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
