package mutants

// mutant is a deliberate bug: in file, old becomes new. Catchers are the test
// commands that are asked, in order, until one fails.
type mutant struct {
	name, file, old, new string
	catchers             []string
}

// Test commands, without "go test".
const (
	vocabulary = "./notifier -rapid.nofailfile" // or a failure leaves a file in the tree
	watching   = "./notifier/watch -rapid.nofailfile"
	delivering = "./notifier/deliver -rapid.nofailfile"
	composing  = "./notifier/compose -rapid.nofailfile"
	auth       = "./notifier/httpauth"
	ewsClient  = "./notifier/ews"
	queueing   = "./notifier/queue"
	apple      = "./notifier/apns"
	storms     = "./scenarios/storm"
	recovery   = "./scenarios/recovery -ginkgo.label-filter virtual"
	moves      = "./scenarios/moves -ginkgo.label-filter virtual"
	logons     = "./scenarios/credentials -ginkgo.label-filter virtual"
	budgets    = "./scenarios/throttling -ginkgo.label-filter virtual"
	day        = "./scenarios/throttling"
	delivery   = "./scenarios/delivery -ginkgo.label-filter virtual"
	devices    = "./scenarios/registration -ginkgo.label-filter virtual"
)

var table = []mutant{
	{
		"the bookmark moves before the push is durable", "notifier/watch/watcher.go",
		"	seen, err := w.opt.Handle(m.ctx, m.name, events)\n	if err != nil {", "	seen, err := w.opt.Handle(m.ctx, m.name, events)\n	if err != nil {\n		m.done(events, nil)",
		[]string{watching, storms},
	},
	{
		"a broken stream is no gap", "notifier/watch/stream.go",
		"			} else if !orderly {\n				mb.m.deaf()", "			} else if !orderly {",
		[]string{recovery, storms},
	},
	{
		"a lost subscription is no gap", "notifier/watch/group.go",
		"	mb.m.unsubscribed()\n	mb.m.deaf()\n", "	mb.m.unsubscribed()\n",
		[]string{recovery, storms},
	},
	{
		"a comparison before the stream is open covers the gap", "notifier/watch/compare.go",
		"	if !heard {\n		return errNotHeard\n	}\n\n	missing", "	_ = heard\n	missing",
		[]string{watching, storms},
	},
	{
		"catch-up stops one item early", "notifier/watch/compare.go",
		"			if it.Received.Before(mark.Floor) {", "			if !it.Received.After(mark.Floor) {",
		[]string{vocabulary, watching, storms},
	},
	{
		"catch-up looks at one page only", "notifier/watch/compare.go",
		"		case page.Last || len(page.Items) == 0:", "		case true:",
		[]string{watching, storms},
	},
	{
		"the floor rises while a gap is open", "notifier/watch/mailbox.go",
		"	if len(m.pending) > 0 || m.inGapLocked() {\n		return\n	}\n	b, now", "	b, now",
		[]string{watching, storms},
	},
	{
		"the overlap of bookmarks is gone", "notifier/bookmark.go",
		"s.Received.Add(-BookmarkOverlap)", "s.Received",
		[]string{vocabulary, storms},
	},
	{
		"the audit does not look back", "notifier/bookmark.go",
		"	if f := from.Add(-BookmarkLookBack); f.After(floor) {\n		floor = f\n	}", "	floor = from",
		[]string{vocabulary, watching},
	},
	{
		"there is no audit", "notifier/watch/watcher.go",
		"	if w.opt.AuditEvery > 0 {", "	if w.opt.AuditEvery < 0 {",
		[]string{watching, storms},
	},
	{
		"the affinity cookie is dropped", "notifier/ews/affinity.go",
		"	if line.Len() > 0 {\n		r.Header.Set(\"Cookie\", line.String())\n	}", "",
		[]string{ewsClient, storms},
	},
	{
		"a silent stream is never dead", "notifier/ews/stream.go",
		"	w.watchdog.Reset(w.silenceMax)\n", "",
		[]string{ewsClient, watching},
	},
	{
		"back-off told by the server is ignored", "notifier/watch/strikes.go",
		"max(backoff(before, first, most), told)", "backoff(before, first, most)",
		[]string{watching, budgets},
	},
	{
		"waits do not grow", "notifier/watch/backoff.go",
		"first << n", "first << 0",
		[]string{watching},
	},
	{
		"subscriptions are not kept", "notifier/watch/kept.go",
		"	m.bookmark.Subscription, m.shunned = s, nil", "	m.shunned = nil",
		[]string{watching, budgets},
	},
	{
		"newcomers stay with a group that has moved", "notifier/watch/group.go",
		"			m.shun(g)\n", "",
		[]string{watching, moves, storms},
	},
	{
		"the group's anchor stays when its mailbox has left", "notifier/watch/group.go",
		"		g.anchor = other\n", "		_ = other\n",
		[]string{watching, moves},
	},
	{
		"a refused account keeps its mailboxes", "notifier/watch/place.go",
		"	until := now.Add(max(time.Until(rejected.NextTry), retryMin))", "	until := now",
		[]string{watching, logons},
	},
	{
		"a new password is not noticed", "notifier/app/extender.go",
		"	in.watch.Unblock(r.account.Name)\n", "",
		[]string{logons},
	},
	{
		"every wrong password is tried twice", "notifier/httpauth/ntlm.go",
		"refused >= t.refusalsMax()", "refused >= refusalsMax",
		[]string{auth, logons},
	},
	{
		"two mails share an ID", "notifier/push.go",
		"	return NotificationID(\"n\" + digest(string(m), string(item)))", "	return NotificationID(\"n\" + digest(string(m), string(item)[:min(len(item), 100)]))",
		[]string{vocabulary, delivery},
	},
	{
		"a repeat has another ID", "notifier/push.go",
		"	return PushID(\"p\" + digest(string(n), string(d)))", "	return PushID(\"p\" + digest(string(n), string(d), time.Now().String()))",
		[]string{vocabulary, storms},
	},
	{
		"the time of a 410 is not compared", "notifier/deliver/verdict.go",
		", !receipt.GoneSince.IsZero() && r.Confirmed.After(receipt.GoneSince):", ":",
		[]string{delivering, devices},
	},
	{
		"a dead address is kept", "notifier/deliver/verdict.go",
		"		err := l.owner.opt.Forget(ctx, f.push.Device, revision)\n", "		var err error\n		_ = revision\n		_ = ctx\n",
		[]string{delivering, recovery},
	},
	{
		"an outage uses up attempts", "notifier/deliver/verdict.go",
		"	l.giveBack(f, min(after, max(time.Until(f.push.Expires), 0)))", "	l.settle(f, unwritten{receipt: notifier.NewReceipt(f.push, notifier.Delivered, \"\", time.Now())})",
		[]string{delivering, recovery},
	},
	{
		"the provider's Retry-After is ignored", "notifier/deliver/backoff.go",
		"		return asked + spread(asked/10)", "		return spread(r.Min)",
		[]string{delivering},
	},
	{
		"a push waits for nobody after a crash", "notifier/compose/batch.go",
		"	if len(b.pushes) > 0 {\n		if err := b.composer.opt.Queue(ctx, b.pushes...); err != nil {", "	if len(b.pushes) > 0 {\n		if err := b.composer.opt.Queue(ctx, b.pushes[:len(b.pushes)-1]...); err != nil {",
		[]string{composing, delivery},
	},
	{
		"hidden text is shown", "notifier/compose/text.go",
		"	if d.Show == ShowSender {", "	if false {",
		[]string{composing, delivery},
	},
	{
		"a device hears of mail from before its registration", "notifier/compose/policy.go",
		"	case m.Received.Before(device.Created.Add(-RegistrationTolerance)):", "	case false:",
		[]string{composing, devices},
	},
	{
		"a wiped device's pushes stay in the queue", "notifier/app/app.go",
		"	if err := in.stores.Queue.Purge(ctx, d); err != nil {", "	if err := error(nil); err != nil {",
		[]string{devices, storms},
	},
	{
		"a push of an earlier registration is sent to the next", "notifier/deliver/verdict.go",
		"	case ok && (r.Created.After(p.Registered) ||", "	case ok && (false ||",
		[]string{delivering, devices},
	},
	{
		"what is being sent to a wiped device is not cut off", "notifier/deliver/deliverer.go",
		"			f.cancel(errWiped)\n", "",
		[]string{delivering, devices},
	},
	{
		"a flood is announced mail by mail", "notifier/watch/compare.go",
		"w.opt.DigestOver > 0 && len(found) > w.opt.DigestOver", "false",
		[]string{recovery},
	},
	{
		"what is read elsewhere stays on the phone", "notifier/watch/elsewhere.go",
		"r.Err == nil && r.Item.Read:", "false:",
		[]string{delivery},
	},
	{
		"streams are not charged to their anchor", "notifier/watch/stream.go",
		"	caller := g.caller(s.charge)\n", "	caller := g.caller(\"\")\n",
		[]string{watching, budgets},
	},
	{
		"a stream that ends at once is opened again at once", "notifier/watch/stream.go",
		"	if lived < streamShort && !s.closing && !s.keptLost {", "	if false {",
		[]string{budgets},
	},
	{
		"a slow account holds up the others", "notifier/watch/runqueue.go",
		"	if l.inTurn || len(l.list) == 0 || q.workers > 0 && l.working >= q.workers {", "	if l.inTurn || len(l.list) == 0 {",
		[]string{watching},
	},
	{
		"a mailbox that changes its account is with two workers", "notifier/watch/runqueue.go",
		"	case q.states[m] == runWorking:\n		q.states[m] = runAgain\n	case q.states[m] == 0:", "	case q.states[m] != runWaiting:",
		[]string{watching},
	},
	{
		"the queue's newest block empties with every push", "notifier/queue/jetstream.go",
		"	q.keep(ctx)\n	if err := stream.Purge", "	if err := stream.Purge",
		[]string{queueing},
	},
	{
		"connections that work for a moment are waited for like those that never do", "notifier/apns/lane.go",
		"min(backoff(l.hurried-shortLivesMax), hurriedMax)", "backoff(l.hurried-shortLivesMax)",
		[]string{apple},
	},
	{
		"a misfortune counts once for each stream", "notifier/watch/stream.go",
		"		case now.Before(again) && s.opened.Before(g.opensAt): // the group's other stream\n		case now.Before(again):", "		case false:",
		[]string{watching},
	},
}
