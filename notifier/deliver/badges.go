package deliver

import (
	"sync"
	"time"

	"mailbell/notifier"
)

// badges keeps the unread counts of a device in order: one is sent at a time,
// and never one that is older than one sent before, as that of a toast that
// was put off.
type badges struct {
	mu      sync.Mutex
	devices map[notifier.DeviceID]*badge
}

type badge struct {
	count   int
	noticed time.Time // of the mail the count came with
	busy    bool
}

func newBadges() *badges { return &badges{devices: make(map[notifier.DeviceID]*badge)} }

// send calls do with the count of the push unless a newer one is known. While
// a count is being sent to the device, the newest that comes is left to whoever
// sends, and send returns at once.
func (b *badges) send(p notifier.Push, do func(count int)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.devices[p.Device]
	if e == nil {
		b.makeRoom()
		e = &badge{}
		b.devices[p.Device] = e
	} else if p.Noticed.Before(e.noticed) {
		return
	}
	e.count, e.noticed = *p.Badge, p.Noticed
	if e.busy {
		return
	}
	e.busy = true
	for sent := false; !sent; {
		count, noticed := e.count, e.noticed
		b.mu.Unlock()
		do(count)
		b.mu.Lock()
		sent = e.count == count && e.noticed.Equal(noticed)
	}
	e.busy = false
}

// makeRoom forgets some device when there are too many.
func (b *badges) makeRoom() {
	for d, e := range b.devices {
		if len(b.devices) < badgesKept {
			return
		}
		if !e.busy {
			delete(b.devices, d)
		}
	}
}
