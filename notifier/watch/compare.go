package watch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/ews"
)

// compare holds the Inbox against the bookmark and hands over what is missing,
// oldest first.
func (w *Watcher) compare(ctx context.Context, m *mailbox, why notifier.Source) error {
	if err := m.comparing.take(ctx); err != nil {
		return err
	}
	defer m.comparing.leave()
	g := w.groupOf(m)
	if g == nil {
		return errNotHeard
	}
	m.mu.Lock()
	syncs, before := m.syncsLocked(), m.strikes.row()
	m.mu.Unlock()
	if !syncs {
		return w.compareByReceived(ctx, g, m, why)
	}
	err := w.compareBySync(ctx, g, m, why)
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case stateIsBad(err):
		w.giveUpState(m, err, 0)
		return w.compareByReceived(ctx, g, m, why)
	case !doWithout(err, before):
		return err
	}
	w.log.Warn("changes unknown; comparing by received time this once", "mailbox", m.name, "err", err)
	err = w.compareByReceived(ctx, g, m, why)
	w.auditSoon(m)
	return err
}

// compareByReceived walks the Inbox from the newest item down, without a
// restriction, and stops at the first item received before the bookmark's
// floor (EWS "FindItem"; the sort order has a view in the store, a restriction
// would need a search folder).
func (w *Watcher) compareByReceived(ctx context.Context, g *group, m *mailbox, why notifier.Source) error {
	m.mu.Lock()
	gaps, mark, heard := m.gaps, m.bookmark, m.heard
	if m.inGapLocked() {
		why = notifier.FromCatchUp // what is young counts as well
	}
	m.mu.Unlock()
	if !heard {
		return errNotHeard
	}

	missing, err := w.missing(ctx, g.client, m, mark, why)
	if err != nil {
		return err
	}
	slices.Reverse(missing)
	w.handOver(m, missing)
	if m.coveredUpTo(gaps) {
		w.toWalk.push(m)
	}
	return nil
}

// handOver queues what a comparison has found. What overflows leaves a gap open.
func (w *Watcher) handOver(m *mailbox, found []notifier.Event) {
	finds := 0
	for _, e := range found {
		if e.Source == notifier.FromAudit {
			finds++
		}
	}
	if finds > 0 {
		w.stats.auditFinds.Add(uint64(finds))
		w.log.Warn("audit found mail that no stream told of", "mailbox", m.name, "count", finds)
	}
	if n := len(found) - finds; n > 0 {
		w.stats.caughtUp.Add(uint64(n))
		w.log.Info("caught up", "mailbox", m.name, "count", n)
	}
	if w.opt.DigestOver > 0 && len(found) > w.opt.DigestOver {
		m.mu.Lock()
		since := m.gapSince
		m.mu.Unlock()
		w.log.Warn("a flood of mail is announced together", "mailbox", m.name, "count", len(found))
		for i := range found {
			found[i].Flood = since
		}
	}
	if fresh, _ := m.notice(found, CompareItemsMax+pendingMax); fresh {
		w.ready.push(m)
	}
}

// missing lists the items that the bookmark does not know, newest first. Those
// received before its start were overlooked by the comparisons and streams
// before: they are finds of an audit, unless they have been read meanwhile.
func (w *Watcher) missing(ctx context.Context, c *ews.Client, m *mailbox, mark notifier.Bookmark, why notifier.Source) ([]notifier.Event, error) {
	known := make(map[notifier.ItemID]bool, len(mark.Seen))
	for _, s := range mark.Seen {
		known[s.Item] = true
	}
	var out []notifier.Event
	walked := map[ews.ItemID]bool{}
	now, start := time.Now(), mark.Start()
	for offset, back := 0, 0; ; {
		page, err := c.FindItems(ctx, m.caller(), ews.FindRequest{Offset: offset, Max: comparePage})
		if err != nil {
			return nil, fmt.Errorf("watch: compare %s: %w", m.name, err)
		}
		if offset > 0 && !touches(page.Items, walked) {
			// Items before it were removed, and others have moved up past its
			// beginning.
			if back++; back > compareBackMax {
				return nil, fmt.Errorf("watch: compare %s: the Inbox changes faster than it can be read", m.name)
			}
			offset = max(0, offset-comparePage)
			continue
		}
		for _, it := range page.Items {
			walked[it.ID] = true
			if it.Received.Before(mark.Floor) {
				return out, nil
			}
			id := notifier.ItemID(it.ID)
			source := why
			switch old := it.Received.Before(start); {
			case old && it.Read: // no alarm: it may have been moved in; if not, its receipt is due
				source = notifier.FromCatchUp
			case old:
				source = notifier.FromAudit
			}
			if known[id] || (why == notifier.FromAudit && now.Sub(it.Received) < auditGrace) {
				continue
			}
			known[id] = true // pages shift when mail arrives between them
			out = append(out, notifier.Event{Mailbox: m.name, Item: id, Source: source, Noticed: now, Received: it.Received.UTC()})
		}
		switch {
		case page.Last || len(page.Items) == 0:
			return out, nil
		case len(out) >= CompareItemsMax:
			w.log.Error("more mail than one comparison looks at; the oldest is passed over", "mailbox", m.name, "looked_at", len(out))
			return out, nil
		}
		offset = max(page.NextOffset-compareOverlap, offset+1)
	}
}

// touches says whether a page begins where the walk has been.
func touches(page []ews.FoundItem, walked map[ews.ItemID]bool) bool {
	for _, it := range page {
		if walked[it.ID] {
			return true
		}
	}
	return false
}

// compareSoon queues a mailbox for its comparison. One without a place is
// compared when a stream carries it.
func (w *Watcher) compareSoon(m *mailbox) {
	if g := w.groupOf(m); g != nil {
		g.account.toCompare.push(m)
	}
}

// catchUp compares a mailbox that has an open gap.
func (w *Watcher) catchUp(m *mailbox) {
	if err := w.compare(m.ctx, m, notifier.FromCatchUp); err != nil && m.ctx.Err() == nil {
		w.compareFailed(m, err)
	}
}

func (w *Watcher) compareFailed(m *mailbox, err error) {
	if errors.Is(err, errNotHeard) || errors.Is(err, errNotDealtWith) {
		return
	}
	n := m.struck()
	w.log.Warn("comparison failed", "mailbox", m.name, "try", n+1, "err", err)
	if isRejected(err) || remedy(err, n) == ews.Rediscover || ews.React(err) == ews.Permanent {
		w.leave(m, err)
		return
	}
	d, _ := m.strike(retryMin, retryMax, backOffTold(err))
	m.retry(err, d)
	if g := w.groupOf(m); g != nil {
		g.account.toCompare.rest(m, d)
	}
}
