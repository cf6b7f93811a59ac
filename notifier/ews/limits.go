package ews

import "time"

// Limits that Exchange sets.
const (
	// SubscriptionsPerStreamMax is the most subscriptions of one stream (EWS
	// "How to: Maintain affinity between a group of subscriptions and the
	// Mailbox server in Exchange": 200).
	SubscriptionsPerStreamMax = 200
	// StreamTimeoutMin and StreamTimeoutMax bound the life of a stream (EWS
	// reference "ConnectionTimeout": 1 to 30 minutes, inclusive).
	StreamTimeoutMin = time.Minute
	StreamTimeoutMax = 30 * time.Minute
	// ItemsPerRequestMax is the most items of one GetItem (EWS "EWS throttling in
	// Exchange", batch requests: 10 or fewer).
	ItemsPerRequestMax = 10
	// FindRowsMax is the most rows of one FindItem without a restriction (EWS
	// "EWS throttling in Exchange", EWSFindCountLimit: 1000).
	FindRowsMax = 1000
	// SyncChangesMax is the most changes of one SyncFolderItems (EWS reference
	// "MaxChangesReturned": 1 to 512).
	SyncChangesMax = 512
)

// Defaults of the options.
const (
	// RequestTimeoutDefault is how long an ordinary request may take with its
	// answer (EWS "EWS throttling in Exchange", batch requests: one request runs
	// for 1 minute at most).
	RequestTimeoutDefault = 60 * time.Second
	// SilenceMaxDefault is how long a stream may say nothing: two heartbeats and
	// some grace (EWS Managed API, GetStreamingEventsRequest: a heartbeat every
	// 45,000 ms, read time-out after two).
	SilenceMaxDefault = 100 * time.Second
	// FindRowsDefault is the page that FindItems asks for when not told another:
	// more than a usual gap brings, and cheap.
	FindRowsDefault = 50
)

// Bounds of what is read and kept. They are our own, far above what servers
// are known to send.
const (
	// AnswerSizeMax bounds an ordinary answer, in bytes. The largest real one is
	// a page of 1000 rows of about 1 KB.
	AnswerSizeMax = 16 << 20
	// FailureSizeMax bounds what is read of an answer that tells of a failure.
	FailureSizeMax = 64 << 10
	// EnvelopeSizeMax bounds one envelope of a stream, in bytes: 200
	// subscriptions with 50 events each (EWS reference "GetStreamingEvents
	// operation": 50 events in a notification) make about 6 MB.
	EnvelopeSizeMax = 8 << 20
	// DepthMax bounds the nesting of elements. An item's address is 11 deep.
	DepthMax = 64
	// AttributesMax bounds the attributes of one element. ServerVersionInfo has 6.
	AttributesMax = 64
	// readsEmptyMax bounds reads in a row that bring neither bytes nor an error.
	readsEmptyMax = 100
	// readSize is the first size of a stream's buffer, readKeepMax the size up to
	// which it is kept for the next envelope, in bytes.
	readSize    = 8 << 10
	readKeepMax = 64 << 10

	// errorTextMax bounds a server's text in an error, in bytes.
	errorTextMax = 1024
	// errorNameMax bounds a code, the name of a value, and what else of a header
	// is told in an error, in bytes.
	errorNameMax = 128
	// errorValuesMax bounds the values of a MessageXml that are kept.
	errorValuesMax = 16
	// backOffMax bounds the wait a server can ask for. Real servers ask for 5
	// minutes.
	backOffMax = time.Hour

	// cookiesMax and cookieSizeMax bound what an Affinity keeps: the number of
	// cookies, and the bytes of name and value (RFC 6265 "HTTP State Management
	// Mechanism", section 6.1: 4096 bytes a cookie).
	cookiesMax    = 16
	cookieSizeMax = 4096

	// closedGraceMax is how long a stream that said Closed is read for its last
	// chunk, so that the connection can be used again.
	closedGraceMax = 5 * time.Second
)
