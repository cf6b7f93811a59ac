package world

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/app"
	"mailbell/notifier/bookmark"
	"mailbell/notifier/ledger"
	"mailbell/notifier/queue"
	"mailbell/notifier/registry"
)

// errPowerOff is what a process hears of its disk after it was killed.
var errPowerOff = errors.New("world: the process is dead")

// life is one life of the notifier: what it reaches the world by, until it is
// killed.
type life struct {
	disk  disk
	mu    sync.Mutex
	conns map[net.Conn]bool
}

func newLife() *life { return &life{conns: map[net.Conn]bool{}} }

// dial is how this life connects.
func (l *life) dial(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if err := l.disk.err(); err != nil {
			return nil, err
		}
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		c := &lifeConn{conn, l}
		l.mu.Lock()
		l.conns[c] = true
		l.mu.Unlock()
		return c, nil
	}
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

type lifeConn struct {
	net.Conn
	life *life
}

func (c *lifeConn) Close() error {
	c.life.mu.Lock()
	delete(c.life.conns, c)
	c.life.mu.Unlock()
	return c.Conn.Close()
}

// kill ends it as kill -9 does: nothing is written any more, nothing is sent.
func (l *life) kill() {
	l.disk.dead.Store(true)
	l.mu.Lock()
	conns := l.conns
	l.conns = map[net.Conn]bool{}
	l.mu.Unlock()
	for c := range conns {
		_ = c.(*lifeConn).Conn.Close() // what it says does not matter to the dead
	}
}

// disk stands between one life of the notifier and the stores: what was written
// before the life was killed is there, and nothing that it tries afterwards.
type disk struct{ dead atomic.Bool }

func (d *disk) err() error {
	if d.dead.Load() {
		return errPowerOff
	}
	return nil
}

// between puts the disk before the stores.
func (d *disk) between(s *app.Stores) *app.Stores {
	return &app.Stores{Registry: diskRegistry{s.Registry, d}, Queue: diskQueue{s.Queue, d}, Bookmarks: diskBookmarks{s.Bookmarks, d}, Ledger: diskLedger{s.Ledger, d}}
}

type diskRegistry struct {
	registry.Store
	d *disk
}

func (s diskRegistry) Put(ctx context.Context, r notifier.Registration) (uint64, error) {
	if err := s.d.err(); err != nil {
		return 0, err
	}
	return s.Store.Put(ctx, r)
}

func (s diskRegistry) Delete(ctx context.Context, id notifier.DeviceID, revision uint64) error {
	if err := s.d.err(); err != nil {
		return err
	}
	return s.Store.Delete(ctx, id, revision)
}

type diskQueue struct {
	queue.Queue
	d *disk
}

func (s diskQueue) Put(ctx context.Context, pushes ...notifier.Push) error {
	if err := s.d.err(); err != nil {
		return err
	}
	return s.Queue.Put(ctx, pushes...)
}

func (s diskQueue) Take(ctx context.Context, p notifier.Provider, most int) ([]queue.Delivery, error) {
	list, err := s.Queue.Take(ctx, p, most)
	for i := range list {
		list[i] = diskDelivery{list[i], s.d}
	}
	return list, err
}

type diskDelivery struct {
	queue.Delivery
	d *disk
}

func (s diskDelivery) Ack(ctx context.Context) error {
	if err := s.d.err(); err != nil {
		return err
	}
	return s.Delivery.Ack(ctx)
}

func (s diskDelivery) Retry(ctx context.Context, after time.Duration) error {
	if err := s.d.err(); err != nil {
		return err
	}
	return s.Delivery.Retry(ctx, after)
}

func (s diskDelivery) Extend(ctx context.Context) error {
	if err := s.d.err(); err != nil {
		return err
	}
	return s.Delivery.Extend(ctx)
}

type diskBookmarks struct {
	bookmark.Store
	d *disk
}

func (s diskBookmarks) Put(ctx context.Context, list ...notifier.Bookmark) error {
	if err := s.d.err(); err != nil {
		return err
	}
	return s.Store.Put(ctx, list...)
}

func (s diskBookmarks) Delete(ctx context.Context, m notifier.Mailbox) error {
	if err := s.d.err(); err != nil {
		return err
	}
	return s.Store.Delete(ctx, m)
}

type diskLedger struct {
	ledger.Store
	d *disk
}

func (s diskLedger) Append(ctx context.Context, list ...notifier.Receipt) error {
	if err := s.d.err(); err != nil {
		return err
	}
	return s.Store.Append(ctx, list...)
}
