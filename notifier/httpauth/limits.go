package httpauth

import "time"

const (
	// SlotsDefault is the number of connections a pool opens to one host when
	// Options.SlotsMax is zero. EWS "EWS throttling in Exchange": the default
	// concurrency of an account (EWSMaxConcurrency) is 27 or 10, by version; 8
	// stays below both.
	SlotsDefault = 8

	// IdleTimeoutDefault is below the 120 s after which IIS closes an idle
	// connection by default ("Connection Timeout" of a site), so that the client
	// is the one who closes.
	IdleTimeoutDefault = 90 * time.Second

	// HeaderTimeoutDefault bounds the wait for the first line of an answer.
	HeaderTimeoutDefault = 60 * time.Second

	dialTimeout      = 10 * time.Second
	dialKeepAlive    = 30 * time.Second
	handshakeTimeout = 10 * time.Second // TLS

	// drainMax is how much of a 401's body is read to keep its connection. IIS
	// sends an HTML page of about 1.3 kB.
	drainMax     = 1 << 20
	drainTimeout = 10 * time.Second

	responseHeaderMax = 256 << 10 // bytes; a Negotiate token is at most 64 KiB before base64
	requestBodyMax    = 8 << 20   // bytes kept to send a request again

	// Within one request: a refusal is checked once on a fresh connection, a lost
	// handshake is repeated once on one.
	refusalsMax = 2
	lossesMax   = 2
	// bearerTries is how often a new token is shown to a host that took the
	// account's tokens before, bearerPause the time between.
	bearerTries = 3
	bearerPause = time.Second

	// rejectingHostsMax: two hosts may refuse an account before it rests
	// everywhere. One would let a foreign server on the way to the right one stop
	// the account; more would come near a directory's lock-out threshold.
	rejectingHostsMax = 2
	gateHostsMax      = 32 // hosts remembered by one gate

	diagnosticsMax = 512 // bytes kept of x-ms-diagnostics
)

// gateStep is how long an account rests after its first, second and every
// further verified refusal.
func gateStep(failures int) time.Duration {
	switch failures {
	case 0, 1:
		return time.Minute
	case 2:
		return 5 * time.Minute
	}
	return 30 * time.Minute
}

const (
	// AuthorityDefault is the token authority of the worldwide cloud.
	AuthorityDefault = "https://login.microsoftonline.com"
	// ScopeDefault asks for every application permission granted on Exchange Online.
	ScopeDefault = "https://outlook.office365.com/.default"

	tokenTimeoutDefault = 30 * time.Second // one acquisition
	tokenAnswerMax      = 1 << 20          // bytes of one answer of the authority
	tokenErrorMax       = 64 << 10         // bytes of an error document that are parsed
	tokenErrorTextMax   = 300              // bytes of its description that are kept

	renewBefore  = 10 * time.Minute // a token is renewed this long before it expires
	renewJitter  = time.Minute      // and up to this much earlier
	expiryMargin = 30 * time.Second // a token is not used in its last moments

	// forcedRenewalAge: a token younger than this is not renewed because of a 401;
	// the authority would answer with much the same.
	forcedRenewalAge = 60 * time.Second

	tokenRetryPermanent = 10 * time.Minute // after an error that an administrator must mend
	tokenRetryMin       = time.Second
	tokenRetryMax       = 5 * time.Minute
)
