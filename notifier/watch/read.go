package watch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/ews"
)

// Reading is what was found of some items of one mailbox.
type Reading struct {
	Messages []notifier.Message
	Gone     []notifier.ItemID // read, moved or deleted before Mailbell could look
	Poison   []notifier.ItemID // Exchange fails on them again and again
	Unread   int               // unread items of the Inbox, or notifier.UnreadUnknown
}

// Read fetches the items with the mailbox's own connection settings, and the
// unread count beside them. An error means that nothing is known and the call
// has to be repeated.
func (w *Watcher) Read(ctx context.Context, name notifier.Mailbox, ids []notifier.ItemID) (Reading, error) {
	w.mu.Lock()
	m := w.mailboxes[name]
	w.mu.Unlock()
	if m == nil {
		return Reading{}, fmt.Errorf("watch: %s is not watched", name)
	}
	g := w.groupOf(m)
	if g == nil {
		return Reading{}, errNotPlaced
	}
	folder := make(chan ews.Folder, 1)
	told, fresh := m.freshCount()
	if w.opt.NoBadge || fresh {
		close(folder)
	} else {
		go func() {
			defer close(folder)
			if f, err := g.client.GetFolder(ctx, m.caller()); err == nil {
				folder <- f
			} else {
				w.log.Debug("unread count unknown", "mailbox", name, "err", err)
			}
		}()
	}
	r, err := w.readItems(ctx, g.client, m, ids, true)
	f, ok := <-folder
	if err != nil {
		return Reading{}, err
	}
	r.Unread = notifier.UnreadUnknown
	switch {
	case w.opt.NoBadge:
	case fresh:
		r.Unread = told
	case ok:
		r.Unread = f.Unread
	}
	m.showing(r.Unread)
	return r, nil
}

func (w *Watcher) readItems(ctx context.Context, c *ews.Client, m *mailbox, ids []notifier.ItemID, lookAgain bool) (Reading, error) {
	asked := make([]ews.ItemID, len(ids))
	for i, id := range ids {
		asked[i] = ews.ItemID(id)
	}
	results, err := c.GetItem(ctx, m.caller(), asked)
	if err != nil {
		return Reading{}, fmt.Errorf("watch: read %s: %w", m.name, err)
	}
	if len(results) != len(ids) {
		return Reading{}, fmt.Errorf("watch: read %s: %d answers for %d items", m.name, len(results), len(ids))
	}
	var r Reading
	var failed error
	for i, res := range results {
		switch code := errorCode(res.Err); {
		case res.Err == nil:
			r.Messages = append(r.Messages, message(ids[i], res.Item))
		case code == "ErrorItemNotFound":
			r.Gone = append(r.Gone, ids[i])
		case ews.React(res.Err) == ews.GiveUp, isPoisonous(res.Err) && w.poisoned(m, ids[i]):
			w.log.Error("item cannot be read; given up", "mailbox", m.name, "code", code)
			r.Poison = append(r.Poison, ids[i])
		default: // the others are looked at all the same, to have their failures counted
			failed = fmt.Errorf("watch: read %s: %w", m.name, res.Err)
		}
	}
	if failed != nil {
		return Reading{}, failed
	}
	if len(r.Gone) > 0 && lookAgain {
		// Right after delivery another server may not know the item yet.
		if !sleep(ctx, goneRetry) {
			return Reading{}, ctx.Err()
		}
		again, err := w.readItems(ctx, c, m, r.Gone, false)
		if err != nil {
			return Reading{}, err
		}
		r.Messages = append(r.Messages, again.Messages...)
		r.Poison = append(r.Poison, again.Poison...)
		r.Gone = again.Gone
	}
	return r, nil
}

// poisonous are the codes with which Exchange fails on an item for reasons in
// the item itself (EWS reference "ResponseCode").
var poisonous = map[string]bool{
	"ErrorInternalServerError": true, "ErrorCorruptData": true, "ErrorItemCorrupt": true,
	"ErrorContentConversionFailed": true, "ErrorMimeContentInvalid": true,
}

// isPoisonous says whether an error may be the item's own: it is known to be, or
// nothing is known of it.
func isPoisonous(err error) bool {
	e, ok := errors.AsType[*ews.ResponseError](err)
	return ok && (poisonous[e.Code] || !e.Known())
}

// poisoned counts a failure of one item and says whether it was one too many.
func (w *Watcher) poisoned(m *mailbox, id notifier.ItemID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.poison == nil {
		m.poison = map[notifier.ItemID]failing{}
	}
	f := m.poison[id]
	if f.times == 0 {
		f.since = time.Now()
	}
	f.times++
	m.poison[id] = f
	return f.times >= poisonTries && time.Since(f.since) >= poisonAfter
}

func errorCode(err error) string {
	if e, ok := errors.AsType[*ews.ResponseError](err); ok {
		return e.Code
	}
	return ""
}

// message is the item in the words of the vocabulary. From names the author,
// Sender the one who sent it for them (EWS "From", "Sender"); a report may have
// neither.
func message(id notifier.ItemID, it ews.Item) notifier.Message {
	name, addr := it.FromName, it.FromAddress
	if name == "" && addr == "" {
		name, addr = it.SenderName, it.SenderAddress
	}
	if it.RoutingType != "" && it.RoutingType != "SMTP" {
		addr = "" // a legacy DN is no address to show
	}
	return notifier.Message{
		Item: id, Class: it.Class, Subject: it.Subject, FromName: name, FromAddr: addr, Preview: it.Preview,
		Received: it.Received.UTC().Truncate(time.Second), Importance: it.Importance, Read: it.Read,
	}
}
