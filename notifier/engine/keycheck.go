package engine

import (
	"context"
	"errors"
	"fmt"

	"mailbell/notifier/seal"

	"github.com/nats-io/nats.go/jetstream"
)

// Where the key check value is.
const (
	metaBucket  = "mailbell"
	keyCheckKey = "key-check"
)

// checkKey compares the key with the one that the store was first opened with,
// and makes it that one when there is none. Of two processes that open an empty
// store with different keys at the same time, one gets ErrWrongKey.
func checkKey(ctx context.Context, js jetstream.JetStream, sealer *seal.Sealer, o Options) error {
	kv, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: metaBucket, History: 1, Storage: jetstream.FileStorage, Replicas: o.Replicas,
	})
	if err != nil {
		return fmt.Errorf("engine: bucket %s: %w", metaBucket, err)
	}
	_, err = kv.Create(ctx, keyCheckKey, sealer.Check())
	if err == nil {
		return nil
	}
	if !errors.Is(err, jetstream.ErrKeyExists) {
		return fmt.Errorf("engine: key check: %w", err)
	}
	entry, err := kv.Get(ctx, keyCheckKey)
	if err != nil {
		return fmt.Errorf("engine: key check: %w", err)
	}
	if sealer.Verify(entry.Value()) == nil {
		return nil
	}
	if o.URL != "" {
		return fmt.Errorf("%w: give this process the Key of the others that use this server", ErrWrongKey)
	}
	return fmt.Errorf("%w: give the Key that %s was made with, or start with an empty directory", ErrWrongKey, o.Dir)
}
