// Package ledgertest holds every implementation of ledger.Store to the same
// promises.
package ledgertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/ledger"
)

// Age is what a ledger for the suite keeps receipts for.
const Age = 2 * time.Second

const patience = 10 * time.Second // bounds the wait for something that has to come

// Run runs the suite in real time. open returns a new, empty ledger that keeps
// receipts for the age given and ends with the test.
func Run(t *testing.T, open func(t *testing.T, age time.Duration) ledger.Store) {
	for name, test := range map[string]func(*testing.T, ledger.Store){
		"receipts come newest first, whole":                 newestFirst,
		"a device has only its own":                         device,
		"a mailbox has those of all its devices":            mailbox,
		"a receipt without a device belongs to a mailbox":   noDevice,
		"the limit holds, and the newest are within":        limits,
		"the oldest of a device go when there are too many": keptMax,
		"a receipt that could not be found is refused":      appendRefuses,
		"nothing is nothing":                                nothing,
		"an ended context is an error":                      endedContext,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t, 0)) })
	}
	t.Run("receipts go with age", func(t *testing.T) { ages(t, open(t, Age)) })
}

// Receipt makes the n-th receipt of a device in a mailbox.
func Receipt(m notifier.Mailbox, d notifier.DeviceID, n int) notifier.Receipt {
	item := notifier.ItemID(fmt.Sprintf("AAMkAD%d=", n))
	id := notifier.NewNotificationID(m, item)
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Second)
	return notifier.Receipt{
		Push: notifier.NewPushID(id, d), Notification: id, Device: d, Mailbox: m, Item: item, Provider: notifier.APNs,
		Verdict: notifier.Verdict(1 + n%5), Reason: "Unregistered", Status: 410, ProviderID: "x", Attempt: n, Noticed: at, At: at,
	}
}

const (
	ada   notifier.Mailbox  = "ada@contoso.test"
	bob   notifier.Mailbox  = "bob@contoso.test"
	phone notifier.DeviceID = "phone"
	pad   notifier.DeviceID = "pad"
)

func newestFirst(t *testing.T, s ledger.Store) {
	var want []notifier.Receipt
	for n := range 30 {
		want = append(want, Receipt(ada, phone, n))
	}
	appendAll(t, s, want[:10]...)
	appendAll(t, s, want[10:]...)
	appendAll(t, s)
	slices.Reverse(want)
	readDevice(t, s, phone, 100, want)

	r := Receipt(ada, phone, 99)
	r.RetryAfter, r.GoneSince, r.Err = time.Second, r.At, errors.New("an inner matter")
	appendAll(t, s, r)
	got, err := s.Device(t.Context(), phone, 1)
	if err != nil || len(got) != 1 {
		t.Fatalf("Device = %d, %v", len(got), err)
	}
	if got[0].RetryAfter != 0 || !got[0].GoneSince.IsZero() || got[0].Err != nil {
		t.Error("what is not to be stored was")
	}
}

func device(t *testing.T, s ledger.Store) {
	appendAll(t, s, Receipt(ada, phone, 1), Receipt(ada, pad, 2), Receipt(bob, phone, 3), Receipt(bob, "phone2", 4))
	readDevice(t, s, phone, 0, []notifier.Receipt{Receipt(bob, phone, 3), Receipt(ada, phone, 1)})
	readDevice(t, s, pad, 0, []notifier.Receipt{Receipt(ada, pad, 2)})
}

func mailbox(t *testing.T, s ledger.Store) {
	appendAll(t, s, Receipt(ada, phone, 1), Receipt(bob, pad, 2), Receipt(ada, pad, 3), Receipt(ada, phone, 4))
	readMailbox(t, s, ada, 0, []notifier.Receipt{Receipt(ada, phone, 4), Receipt(ada, pad, 3), Receipt(ada, phone, 1)})
	readMailbox(t, s, ada, 2, []notifier.Receipt{Receipt(ada, phone, 4), Receipt(ada, pad, 3)})
	readMailbox(t, s, bob, 0, []notifier.Receipt{Receipt(bob, pad, 2)})
}

func noDevice(t *testing.T, s ledger.Store) {
	appendAll(t, s, Receipt(ada, "", 1), Receipt(ada, phone, 2))
	readMailbox(t, s, ada, 0, []notifier.Receipt{Receipt(ada, phone, 2), Receipt(ada, "", 1)})
	readDevice(t, s, phone, 0, []notifier.Receipt{Receipt(ada, phone, 2)})
}

func limits(t *testing.T, s ledger.Store) {
	const each = 700
	var all []notifier.Receipt
	for n := range each {
		all = append(all, Receipt(ada, phone, n), Receipt(ada, pad, n))
	}
	appendAll(t, s, all...)
	slices.Reverse(all)
	for _, limit := range []int{1, 3, 999} {
		readMailbox(t, s, ada, limit, all[:limit])
	}
	for _, limit := range []int{0, -1, ledger.ReadMax, ledger.ReadMax + 1} {
		readMailbox(t, s, ada, limit, all[:ledger.ReadMax])
	}
}

func keptMax(t *testing.T, s ledger.Store) {
	var all []notifier.Receipt
	for n := range ledger.KeptMax + 20 {
		all = append(all, Receipt(ada, phone, n))
	}
	appendAll(t, s, Receipt(bob, phone, 1))
	appendAll(t, s, all...)
	slices.Reverse(all)
	readMailbox(t, s, ada, 0, all[:ledger.KeptMax])
	readMailbox(t, s, bob, 0, []notifier.Receipt{Receipt(bob, phone, 1)})
}

func appendRefuses(t *testing.T, s ledger.Store) {
	good := Receipt(ada, phone, 1)
	noMailbox, noVerdict := good, good
	noMailbox.Mailbox, noVerdict.Verdict = "", 0
	for _, bad := range []notifier.Receipt{noMailbox, noVerdict} {
		if err := s.Append(t.Context(), good, bad); err == nil {
			t.Error("taken")
		}
	}
	readMailbox(t, s, ada, 0, nil)
}

func nothing(t *testing.T, s ledger.Store) {
	readDevice(t, s, phone, 10, nil)
	readMailbox(t, s, ada, 10, nil)
}

func endedContext(t *testing.T, s ledger.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Append(ctx, Receipt(ada, phone, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("Append: %v", err)
	}
	if _, err := s.Device(ctx, phone, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("Device: %v", err)
	}
	if _, err := s.Mailbox(ctx, ada, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("Mailbox: %v", err)
	}
}

func ages(t *testing.T, s ledger.Store) {
	appendAll(t, s, Receipt(ada, phone, 1))
	readDevice(t, s, phone, 0, []notifier.Receipt{Receipt(ada, phone, 1)})
	deadline := time.After(Age + patience)
	for {
		got, err := s.Device(t.Context(), phone, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 {
			break
		}
		select {
		case <-deadline:
			t.Fatal("the receipt is still there")
		case <-time.After(Age / 10):
		}
	}
	appendAll(t, s, Receipt(ada, phone, 2))
	readDevice(t, s, phone, 0, []notifier.Receipt{Receipt(ada, phone, 2)})
}

func appendAll(t *testing.T, s ledger.Store, rs ...notifier.Receipt) {
	t.Helper()
	if err := s.Append(t.Context(), rs...); err != nil {
		t.Fatal(err)
	}
}

func readDevice(t *testing.T, s ledger.Store, d notifier.DeviceID, limit int, want []notifier.Receipt) {
	t.Helper()
	got, err := s.Device(t.Context(), d, limit)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, want)
}

func readMailbox(t *testing.T, s ledger.Store, m notifier.Mailbox, limit int, want []notifier.Receipt) {
	t.Helper()
	got, err := s.Mailbox(t.Context(), m, limit)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, want)
}

func same(t *testing.T, got, want []notifier.Receipt) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d receipts, want %d", len(got), len(want))
	}
	for i := range got {
		g, err := json.Marshal(got[i])
		if err != nil {
			t.Fatal(err)
		}
		w, err := json.Marshal(want[i])
		if err != nil {
			t.Fatal(err)
		}
		if string(g) != string(w) {
			t.Fatalf("receipt %d:\ngot  %s\nwant %s", i, g, w)
		}
	}
}
