package watch

import (
	"time"

	"mailbell/notifier"
	"mailbell/notifier/ews"
)

// Limits and times, with their sources.
const (
	// StreamMembersMax is the most subscriptions one streaming request may name
	// (EWS "How to: Maintain affinity between a group of subscriptions and the
	// Mailbox server in Exchange": 200).
	StreamMembersMax = 200
	// AccountMailboxesMax is the default capacity of one listener account (the
	// sizing rule of the reference product: 1,250).
	AccountMailboxesMax = 1250
	// AccountRequestsMax is the default of the ordinary requests that one listener
	// account has under way: below the concurrency of every version's default policy
	// (EWS "EWS throttling in Exchange", EWSMaxConcurrency: 10 on 2010, 27 later).
	AccountRequestsMax = 8
	// capacityStretch is how many times its capacity an account carries while
	// another one's credentials are refused. Exchange has no limit of mailboxes:
	// with impersonation each is charged by itself (EWS "EWS throttling in
	// Exchange", "Throttling considerations for applications that use EWS
	// impersonation").
	capacityStretch = 2

	// A stream is asked to live for a random time between these, so that many
	// do not end together (EWS reference "ConnectionTimeout": 1 to 30 minutes).
	streamLifeMin = 25 * time.Minute
	streamLifeMax = 30 * time.Minute
	// streamOverdue is how long after its asked-for life a stream may still be
	// open before it is taken for dead.
	streamOverdue = time.Minute
	// streamShort is a life that earns no immediate reopening: the shortest that
	// can be asked for.
	streamShort = time.Minute
	// Streams that end early are opened at least this far apart, doubling: up to
	// reopenMax when they did open, since every opening costs a comparison of
	// each member, else up to openMax.
	reopenMin = 2 * time.Second
	reopenMax = 40 * time.Second
	openMax   = 75 * time.Second
	// sameBreak is how long after a stream's early end others of its group belong to
	// the same misfortune: they count no further, and none is opened within it again.
	sameBreak = 2 * time.Second

	// joinWaitMax is how long a new subscription waits for its group's others
	// before a stream is opened for it, and the shortest life of a stream for
	// newcomers: a new one ends it.
	joinWaitMax = 2 * time.Second

	// keptGather is how long a group's stream waits after a restart for more of the
	// subscriptions it had before.
	keptGather = 250 * time.Millisecond

	// Waits after failures: exponential with full jitter between these.
	retryMin = time.Second
	retryMax = 5 * time.Minute
	// forgiveAfter is how long nothing may have failed for the next failure to
	// be the first again.
	forgiveAfter = 5 * time.Minute
	// escalateAfter is the number of failures in a row, some 6 minutes of
	// waiting, after which something else is tried (EWS "Handling
	// notification-related errors in EWS in Exchange").
	escalateAfter = 9
	// A permanent refusal is asked about again at this pace, doubling.
	permanentMin = 15 * time.Minute
	permanentMax = 4 * time.Hour

	// discoverBatchMax bounds the mailboxes given to one discovery call.
	discoverBatchMax = 200
	// discoverGather is how long discovery waits for more mailboxes to ask
	// about together.
	discoverGather = 20 * time.Millisecond

	// comparePage is the rows asked for at a time in a comparison.
	comparePage = 50
	// compareOverlap is how many rows of a page are asked for once more with the
	// next, to see that the two touch although items came and went.
	compareOverlap = 5
	// compareBackMax is how often one comparison goes back because they do not.
	compareBackMax = 50
	// CompareItemsMax bounds the items one comparison looks at. A mailbox with
	// more than this above its floor has its oldest ones passed over, with an
	// error in the log.
	CompareItemsMax = 20_000

	// syncTurnPages bounds the pages of changes that one comparison, or one turn
	// of a walk, asks for: as many items as a comparison by received time.
	syncTurnPages = CompareItemsMax / ews.SyncChangesMax
	// walkPagesMax bounds a walk through an Inbox ("Exchange Online limits":
	// 1 million messages a folder).
	walkPagesMax = 1_000_000/ews.SyncChangesMax + 1
	// walkParallel bounds the walks of one account at a time. There is no haste: until its walk
	// is over a mailbox is compared by received time.
	walkParallel = 2
	// syncTries is how often in a row SyncFolderItems may fail before a mailbox is
	// compared by received time for once.
	syncTries = 3
	// knownDue is how many items are dealt with between two comparisons at most,
	// which keeps bookmarks small, and knownRest how long a comparison is not
	// repeated for that reason.
	knownDue  = 250
	knownRest = time.Minute
	// movedInAgeMax is how long ago an item may have been received and still be
	// news when it is moved into the Inbox: as long as quarantine and Junk Email
	// may keep it ("Quarantined email messages in EOP", retention: up to 30 days).
	movedInAgeMax = 30 * 24 * time.Hour

	// DigestOverDefault is Options.DigestOver when nothing is said: more than
	// anybody reads one by one.
	DigestOverDefault = 100

	// elsewhereQuiet is how long after an event the owner's devices are told: they
	// seldom read one mail only, and a mail that arrives brings its count along.
	elsewhereQuiet = 3 * time.Second
	// touchedMax bounds the announced items that are looked at again at once.
	touchedMax = 50
	// tellParallel bounds the mailboxes of one account that are looked at for that at a time.
	tellParallel = 4
	// unreadFresh is how old a count that an event told may be and still go with a
	// mail that arrived together with it.
	unreadFresh = 2 * time.Second

	// pendingMax bounds the stream events waiting per mailbox. Past it they are
	// dropped and the mailbox is compared instead.
	pendingMax = 2000
	// handleMax is how many events of one mailbox are handled in one call.
	handleMax = 50

	// AuditEveryMax bounds Options.AuditEvery: a mailbox may have its turn some
	// minutes late, and what it looks for must still be within the look back.
	AuditEveryMax = notifier.BookmarkLookBack - 30*time.Minute
	// auditGrace is how old an item must be before its being unknown is a find:
	// younger ones may still be on their way through the stream.
	auditGrace = time.Minute
	// poisonTries is how often one item may fail inside Exchange, and poisonAfter
	// for how long, before it is given up (EWS reference "ResponseCode",
	// ErrorInternalServerError): a server in trouble must not make it so.
	poisonTries = 4
	poisonAfter = time.Minute
	// goneRetry is how soon an item that was "not found" right after its event
	// is looked for once more.
	goneRetry = time.Second

	// busySpread is over what time the Subscribe requests that waited for a busy
	// server are spread.
	busySpread = 5 * time.Second
	// stopUnsubscribe bounds the time spent on an Unsubscribe request.
	stopUnsubscribe = 5 * time.Second
	// compareParallelDefault is Options.CompareParallel when nothing is said: half
	// of the requests that an account may have under way, so that new mail is read
	// meanwhile.
	compareParallelDefault = 4
	// parallelSubscribe bounds the Subscribe requests of one group in flight.
	parallelSubscribe = 4
)
