package wns

import "time"

// Limits of a request (WNS "Push notification service request and response
// headers").
const (
	BodyMax = 5000 // bytes
	TagMax  = 16   // alphanumeric characters, for X-WNS-Tag and X-WNS-Group
	// ChannelMax bounds a channel URI in bytes; about 350 are usual.
	ChannelMax = 2048
	// TTLMax bounds X-WNS-TTL: a channel lives 30 days.
	TTLMax = 30 * 24 * time.Hour
)

// Defaults and bounds of Options.
const (
	InFlightDefault = 64
	InFlightMax     = 1000
	TimeoutDefault  = 10 * time.Second
	// RateDefault is in notifications a second; see pacer.
	RateDefault = 500
)

const (
	dialTimeout     = 10 * time.Second
	tlsTimeout      = 10 * time.Second
	idleConnTimeout = 90 * time.Second
	tcpKeepAlive    = 15 * time.Second
	headerBytesMax  = 64 << 10 // of an answer
	answerDrainMax  = 4 << 10  // of an answer's body, read so that its connection can be used again
	textMax         = 256      // of a header value that is passed on
	tokenAnswerMax  = 64 << 10
	tokenLenMax     = 16 << 10

	// tokenLifeDefault is assumed when the token service names no life (one
	// recording has none); a 401 corrects it.
	tokenLifeDefault = 24 * time.Hour
	tokenLifeMax     = 7 * 24 * time.Hour
	// tokenRenewPercent of its life a token is renewed, less a spread.
	tokenRenewPercent = 85
	tokenRenewSpread  = 5
	tokenTimeout      = 20 * time.Second
	tokenBackoffMin   = 1 * time.Second
	tokenBackoffMax   = 5 * time.Minute
	// tokenRenewGap keeps a WNS that answers 401 to every token from becoming a
	// flood on the token service.
	tokenRenewGap = 30 * time.Second

	// throttleWait is the wait after 406 or 429 without Retry-After; a recorded
	// answer named 900 s.
	throttleWait = 15 * time.Minute
	// channelWait is the wait after channelthrottled; nothing is documented.
	channelWait = 10 * time.Minute
	// unreachableWait is the wait after 412, device unreachable.
	unreachableWait = 1 * time.Hour
	// forbiddenWait is how soon a channel with its first 403 is tried again.
	forbiddenWait = 1 * time.Minute
	// forbiddenApart is how far apart two 403s must lie to count as two: a toast
	// and its badge go out together.
	forbiddenApart = 30 * time.Second
	// probeWait is the pause after a wave of refusals.
	probeWait = 30 * time.Second
	// retryAfterMax bounds a wait that an answer may ask for.
	retryAfterMax = 24 * time.Hour

	paceBurstShare = 10 // the burst is this part of a second's worth
	paceRaise      = 1.25
	paceRaiseEvery = 1 * time.Minute
	paceMin        = 10 // a second

	guardAnswers   = 500 // answers looked back upon
	guardAge       = 10 * time.Minute
	guardChannels  = 3 // different channels that make a wave of 403 or 410
	guardPercent   = 5 // share of the answers above which channels are not forgotten
	goneChannels   = 5
	gonePercent    = 50 // 410 is normal: channels expire after 30 days
	outageAge      = 1 * time.Minute
	outagePercent  = 50
	forbiddenAge   = 24 * time.Hour // how long a channel's first 403 is remembered
	forbiddenCount = 10_000         // channels remembered at most
)
