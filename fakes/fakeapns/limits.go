package fakeapns

import "time"

// What Apple documents.
const (
	// PayloadMax and PayloadVoIPMax are bytes: Apple "Generating a remote
	// notification".
	PayloadMax     = 4096
	PayloadVoIPMax = 5120
	// CollapseIDMax is bytes: Apple "Sending notification requests to APNs".
	CollapseIDMax = 64
	// TokenAgeMax and TokenChangeMin bound the life of a provider token and
	// the time between two on a connection: Apple "Establishing a token-based
	// connection to APNs".
	TokenAgeMax    = time.Hour
	TokenChangeMin = 20 * time.Minute
	// StoredMax is how long a notification without apns-expiration is kept:
	// Apple "Viewing the status of push notifications using Metrics and APNs".
	StoredMax = 30 * 24 * time.Hour
)

// What was seen in the logs of clients.
const (
	StreamsMaxDefault = 1000
	headerTableSize   = 4096
	windowSize        = 65535
	frameSizeMax      = 16384
	headerListMax     = 8000
)

// What this package chose, since nothing is known.
const (
	// ErrorsMaxDefault is in points: BadDeviceToken costs ten, 410 nothing,
	// any other 4xx one.
	ErrorsMaxDefault   = 1000
	badTokenPoints     = 10
	BurstWindowDefault = time.Second

	deviceTokenDigitsMax = 200 // "make no assumptions about device token size"
	deviceTokenStrict    = 64

	handshakeTimeout = 10 * time.Second
	lingerTimeout    = 2 * time.Second // reading on after the last answer, so that it is not lost to a TCP reset
	streamsOpenMax   = 10_000          // streams of a connection whose client has not acknowledged a limit yet
	bodyMax          = 1 << 20         // bytes of a body read to its end
	outboxMax        = 8 << 20         // bytes waiting for a client that does not read
	windowStep       = 16 << 10        // bytes received between two WINDOW_UPDATEs
	tokensCached     = 1024            // provider tokens whose signature is remembered
	shownMax         = 4096            // notifications remembered per device
)
