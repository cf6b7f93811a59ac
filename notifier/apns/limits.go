package apns

import "time"

// Limits of a request.
const (
	// PayloadMax bounds the payload in bytes (Apple "Generating a remote
	// notification": 4 KB, and 5 KB for VoIP).
	PayloadMax     = 4096
	PayloadVoIPMax = 5120
	// CollapseIDMax bounds apns-collapse-id in bytes (Apple "Sending notification
	// requests to APNs").
	CollapseIDMax = 64
	// TokenDigitsMax bounds a device token in hex digits. Apple promises no
	// length; tokens in use have 64 to 160.
	TokenDigitsMax = 200
	// TopicMax bounds apns-topic in bytes: a bundle ID has at most 155
	// characters, a push type's suffix fits into the rest.
	TopicMax = 255
)

// Defaults and bounds of Options.
const (
	LanesDefault       = 2
	LanesMax           = 16
	StreamsDefault     = 250
	PushTimeoutDefault = 10 * time.Second
	// UnavailableWaitDefault is the wait before a push that met an internal
	// error or an unavailable service is repeated (Apple "Handling notification
	// responses from APNs": retry after 15 minutes).
	UnavailableWaitDefault = 15 * time.Minute
)

const (
	// answerMax bounds the body of an answer; Apple's is below 100 bytes.
	answerMax = 4096
	// frameNoteMax bounds how much of a SETTINGS or GOAWAY frame is read along.
	frameNoteMax = 4096
	// retryAfterMax bounds a wait that an answer may ask for.
	retryAfterMax = 24 * time.Hour

	dialTimeout      = 20 * time.Second // connect and TLS handshake
	settingsTimeout  = 10 * time.Second // from the handshake to the peer's SETTINGS
	tcpKeepAlive     = 15 * time.Second
	readIdleTimeout  = 30 * time.Second // silence after which a PING is sent
	pingTimeout      = 10 * time.Second
	writeByteTimeout = 10 * time.Second
	closeGrace       = 250 * time.Millisecond // for the TLS closing alert

	// streamsUnnamed stands for a limit that the peer does not name; the
	// transport keeps to the same figure.
	streamsUnnamed = 1000
	// farewellReadsMax bounds the reading of what a peer said before it closed a
	// new connection.
	farewellReadsMax = 16
	// silentMax is how many pushes in a row may end by deadline before their
	// connection is replaced: some connections go quiet while TCP lives.
	silentMax = 3
	// waitMax is how many push deadlines a push may spend in the queue of a lane.
	waitMax = 3
	// sendsMax bounds how often one push is sent when its stream is refused or
	// cut off by GOAWAY.
	sendsMax = 5
	// triesMax bounds how often one Push asks Apple, remedies included.
	triesMax = 2

	// A lane waits between dials: backoffMin doubled for each connection in a
	// row that gave no answer, up to backoffMax. Opening and closing quickly
	// looks like an attack to Apple, so short lives count too, past the first
	// few; a connection that answered is followed by another within hurriedMax
	// all the same, so that a server in trouble is used while it works.
	backoffMin    = 1 * time.Second
	backoffMax    = 60 * time.Second
	shortLife     = 10 * time.Second
	shortLivesMax = 4
	hurriedMax    = 5 * time.Second

	// The transport counts a finished stream a moment longer than the lane
	// does; these are the first and the longest wait before looking again.
	reservePollMin = 1 * time.Millisecond
	reservePollMax = 64 * time.Millisecond
)

// Life of a provider token (Apple "Establishing a token-based connection to
// APNs": renew no more than once every 20 minutes, no less than once every
// 60).
const (
	tokenRenewAge  = 50 * time.Minute
	tokenAgeMax    = 58 * time.Minute
	tokenUpdateGap = 20 * time.Minute
)

// The guard against waves (see guard).
const (
	guardAnswers  = 500              // answers looked back upon
	guardAge      = 10 * time.Minute // and how far back
	guardDevices  = 3                // different devices that make a wave
	guardPercent  = 5                // share of the answers above which devices are not forgotten
	outageAge     = 1 * time.Minute
	outagePercent = 50
	// probeWait is the pause after a wave or a fault of the identity, before the
	// next push is tried.
	probeWait = 30 * time.Second
	// deviceWait is the wait after TooManyRequests, for that device only.
	deviceWait = 1 * time.Minute
)
