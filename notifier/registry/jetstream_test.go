package registry_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"mailbell/notifier/engine/enginetest"
	"mailbell/notifier/registry"
	"mailbell/notifier/registry/registrytest"
)

func TestTheBucketTellsNeitherDeviceNorAddress(t *testing.T) {
	ctx, js := t.Context(), enginetest.JetStream(t)
	s, err := registry.NewJetStream(ctx, js, registry.JetStreamOptions{Sealer: enginetest.Sealer(t)})
	if err != nil {
		t.Fatal(err)
	}
	r := registrytest.Registration(2)
	if _, err := s.Put(ctx, r); err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(ctx, registry.BucketDefault)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := kv.Keys(ctx)
	if err != nil || len(keys) != 1 {
		t.Fatalf("keys %v, %v", keys, err)
	}
	entry, err := kv.Get(ctx, keys[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{string(r.Device), string(r.Mailbox), string(r.APNs.Token)} {
		if strings.Contains(keys[0], secret) || bytes.Contains(entry.Value(), []byte(secret)) {
			t.Errorf("the bucket tells %q", secret)
		}
	}
}

func TestAValueThatCannotBeOpenedIsLeftOut(t *testing.T) {
	ctx, js := t.Context(), enginetest.JetStream(t)
	var log bytes.Buffer
	s, err := registry.NewJetStream(ctx, js, registry.JetStreamOptions{
		Sealer: enginetest.Sealer(t), Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(ctx, registry.BucketDefault)
	if err != nil {
		t.Fatal(err)
	}
	damaged := registrytest.Registration(1)
	if _, err := kv.Put(ctx, enginetest.Sealer(t).Name(string(damaged.Device)), []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(ctx, registrytest.Registration(2)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Get(ctx, damaged.Device); err == nil || errors.Is(err, registry.ErrNotFound) {
		t.Errorf("Get of a damaged value: %v", err)
	}
	changes, err := s.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if c := <-changes; c.Kind != registry.Put || c.Registration.Device != "device-2" {
		t.Errorf("got %v of %q", c.Kind, c.Registration.Device)
	}
	if c := <-changes; c.Kind != registry.Synced {
		t.Errorf("got %v", c.Kind)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "left out") || strings.Contains(log.String(), string(damaged.Device)) {
		t.Errorf("log: %s", log.String())
	}
	if err := s.Delete(ctx, damaged.Device, 0); !errors.Is(err, registry.ErrClosed) {
		t.Errorf("Delete after Close: %v", err)
	}
}

func TestAClosedStoreSaysSoAndEndsItsWatches(t *testing.T) {
	m := registry.NewMemory()
	j := openJetStream(t)
	for name, s := range map[string]interface {
		registry.Store
		Close() error
	}{"memory": m, "JetStream": j} {
		ctx := t.Context()
		unread, err := s.Watch(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for range 600 { // more than any buffer holds
			if _, err := s.Put(ctx, registrytest.Registration(1)); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Fatal(err)
		}
		if _, open := <-unread; open {
			t.Errorf("%s: the Watch goes on", name)
		}
		if _, err := s.Watch(ctx); !errors.Is(err, registry.ErrClosed) {
			t.Errorf("%s: Watch: %v", name, err)
		}
		if _, err := s.Put(ctx, registrytest.Registration(1)); !errors.Is(err, registry.ErrClosed) {
			t.Errorf("%s: Put: %v", name, err)
		}
		if _, _, err := s.Get(ctx, "device-1"); !errors.Is(err, registry.ErrClosed) {
			t.Errorf("%s: Get: %v", name, err)
		}
	}
}
