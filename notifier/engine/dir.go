package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"mailbell/notifier/engine/dirlock"
)

// Permissions of what the engine makes: for its own account only. On Windows
// the directory has those of the one above.
const dirPerm = 0o700

// storeDir is the subdirectory that the server keeps its files in.
const storeDir = "jetstream"

// openDir makes the directory where it is missing, shuts out other accounts,
// and locks it. A directory that was there and holds more than the engine's
// files keeps its own permissions; then those of storeDir protect the content.
func openDir(dir string) (*dirlock.Lock, error) {
	if err := os.MkdirAll(dir, dirPerm); err != nil {
		return nil, fmt.Errorf("engine: directory %s cannot be made: %w", dir, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("engine: directory %s cannot be read: give it to the account that runs this: %w", dir, err)
	}
	if ours(entries) {
		if err := restrict(dir); err != nil {
			return nil, err
		}
	}
	lock, err := dirlock.Acquire(dir)
	switch {
	case errors.Is(err, dirlock.ErrLocked):
		return nil, fmt.Errorf("%w: %s is %w: stop that one, or give this one a directory of its own", ErrLocked, dir, err)
	case err != nil:
		return nil, fmt.Errorf("engine: directory %s cannot be written: give it to the account that runs this: %w", dir, err)
	}
	if err := openStoreDir(filepath.Join(dir, storeDir)); err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	return lock, nil
}

func openStoreDir(dir string) error {
	if err := os.MkdirAll(dir, dirPerm); err != nil {
		return fmt.Errorf("engine: directory %s cannot be made: %w", dir, err)
	}
	return restrict(dir)
}

// ours says whether there is nothing but what an engine makes.
func ours(entries []os.DirEntry) bool {
	for _, e := range entries {
		if e.Name() != dirlock.FileName && e.Name() != storeDir {
			return false
		}
	}
	return true
}

// restrict takes the permissions of other accounts away.
func restrict(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && info.Mode().Perm()&^dirPerm != 0 {
		err = os.Chmod(dir, dirPerm)
	}
	if err != nil {
		return fmt.Errorf("engine: directory %s cannot be closed to other accounts (mode 700): %w", dir, err)
	}
	return nil
}
