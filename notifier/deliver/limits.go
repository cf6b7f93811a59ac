package deliver

import "time"

// Defaults of Options. 0 in a field means its default.
const (
	// InFlightAPNs and InFlightWNS bound the pushes in flight. APNs takes 250 a
	// connection and there are two or more (Apple "Sending notification requests
	// to APNs": the limit varies with load); WNS throttles apps that send too
	// many at a time.
	InFlightAPNs = 256
	InFlightWNS  = 64
	// InFlightMax bounds what may be configured.
	InFlightMax = 10_000

	RetryMinDefault    = 1 * time.Second
	RetryMaxDefault    = 15 * time.Minute
	AttemptsMaxDefault = 50
	PauseMinDefault    = 1 * time.Second
	PauseMaxDefault    = 5 * time.Minute
	// SendTimeoutDefault bounds one sending, waiting for a free connection
	// included.
	SendTimeoutDefault = 60 * time.Second
	// DrainDefault is how long Run waits for answers once it is told to end.
	DrainDefault = 10 * time.Second
)

const (
	// pauseAskedMax bounds a pause that a provider asks for; then a probe sees
	// whether it still holds.
	pauseAskedMax = 1 * time.Hour
	// gatherFor is how long slots are gathered when fewer than one in gatherShare is
	// free.
	gatherFor   = 5 * time.Millisecond
	gatherShare = 4
	// probeWait is when a push comes back that met a way with a probe under way.
	probeWait = 1 * time.Second
	// handBackSpread keeps pushes that went back together from coming together.
	handBackSpread = 1 * time.Second
	// extendEvery is how often a push in flight is claimed anew: a third of the
	// time after which the queue gives it out again (queue.AckWaitDefault).
	extendEvery = 10 * time.Second
	// settleTimeout bounds one write to the queue, the ledger or the registry.
	settleTimeout = 5 * time.Second
	// settleWait is when a push is looked at again whose end could not be written.
	settleWait = 2 * time.Second
	// viewLagMax is how long after its registration a device may be missing where
	// registrations are looked up, when the push was composed by another process.
	viewLagMax = 10 * time.Second
	viewLagTry = 1 * time.Second
	// Waits after a failed Take.
	takeRetryMin = 100 * time.Millisecond
	takeRetryMax = 5 * time.Second
	// Bounds of what is remembered between two sendings.
	attemptsKept  = 100_000
	unsettledKept = 10_000
	barredKept    = 10_000
	barredAge     = 1 * time.Minute // by then the registry's removal is known everywhere
	badgesKept    = 20_000
)
