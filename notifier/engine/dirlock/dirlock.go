// Package dirlock keeps a second process, or a second engine of this one, out
// of a directory. The lock is the operating system's: it is gone with the
// process that held it, however that ended.
package dirlock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// FileName is the file in the directory that carries the lock. It stays when
// the lock is released, and holds the process ID of who locked last.
const FileName = "LOCK"

// ErrLocked says that somebody else has the lock.
var ErrLocked = errors.New("locked")

// Lock is a lock that is held.
type Lock struct{ file *os.File }

// Acquire locks the directory, which has to exist. It returns ErrLocked at
// once when somebody else has it.
func Acquire(dir string) (*Lock, error) {
	f, err := os.OpenFile(filepath.Join(dir, FileName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		holder := readHolder(f)
		if cerr := f.Close(); cerr != nil {
			err = errors.Join(err, cerr)
		}
		if errors.Is(err, ErrLocked) && holder != "" {
			return nil, fmt.Errorf("%w by process %s", ErrLocked, holder)
		}
		return nil, err
	}
	writeHolder(f)
	return &Lock{f}, nil
}

// Release gives the lock back.
func (l *Lock) Release() error { return l.file.Close() } // closing the file unlocks it

// writeHolder leaves the process ID for who finds the directory locked. It
// only informs, so that it may fail.
func writeHolder(f *os.File) {
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
}

func readHolder(f *os.File) string {
	var b [32]byte
	n, _ := f.ReadAt(b[:], 0)
	s := strings.TrimSpace(string(b[:n]))
	if _, err := strconv.Atoi(s); err != nil {
		return ""
	}
	return s
}
