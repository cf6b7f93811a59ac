package embedded

import (
	"fmt"
	"log/slog"
	"sync"
)

// bridge gives the server's log lines to slog: its notices are details to us.
// What it calls fatal is kept as the error of Start instead of ending the
// process.
type bridge struct {
	log *slog.Logger

	mu    sync.Mutex
	fatal error
}

func (b *bridge) Noticef(format string, v ...any) { b.line(b.log.Debug, format, v) }
func (b *bridge) Warnf(format string, v ...any)   { b.line(b.log.Warn, format, v) }
func (b *bridge) Errorf(format string, v ...any)  { b.line(b.log.Error, format, v) }
func (b *bridge) Debugf(string, ...any)           {}
func (b *bridge) Tracef(string, ...any)           {}

func (b *bridge) Fatalf(format string, v ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fatal == nil {
		b.fatal = fmt.Errorf(format, v...)
	}
}

func (b *bridge) fatalError() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fatal
}

func (b *bridge) line(level func(string, ...any), format string, v []any) {
	level("engine: nats-server", "line", fmt.Sprintf(format, v...))
}
