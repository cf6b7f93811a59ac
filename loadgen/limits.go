package loadgen

import "time"

// Limits of a run, and times within it.
const (
	DevicesMax          = 200_000 // the fakes have no more mailboxes
	PerMailboxMax       = 20      // the registration service takes no more devices for one
	SlotsMax            = 5_000_000
	WorkersDefault      = 64               // mails in flight
	PerMailboxDefault   = 3                // devices of a mailbox, at most
	DelayMax            = 10 * time.Second // of an answer
	windowsShare        = 0.2              // of the devices
	accountMailboxes    = 1250
	backlogMax          = 4096 // due mails that wait for a worker; beyond it slots are missed
	enrolWorkers        = 32
	smtpRecipients      = 200 // of one transaction
	answerMax           = 64 << 20
	journalPage         = 10_000
	journalEvery        = 250 * time.Millisecond
	stateEvery          = 100 * time.Millisecond
	sampleEvery         = 500 * time.Millisecond
	progressEvery       = 5 * time.Second
	callTimeout         = time.Minute
	startMax            = time.Minute // from the start of a process to its serving
	stopMax             = 30 * time.Second
	streamingBase       = time.Minute           // until all mailboxes are streamed,
	streamingPerMailbox = 20 * time.Millisecond // and so much more for each
	idleLooks           = 3 * time.Second       // of the notifier at rest, before the load
	startAhead          = 250 * time.Millisecond
	afterLast           = time.Second // for what should not come after the last push
	DrainDefault        = time.Minute
	drainInterrupted    = 10 * time.Second
	findingsMax         = 20
	pointsMax           = 5_000_000 // latencies kept for the plots
	logTailMax          = 4 << 10
)
