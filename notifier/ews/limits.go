package ews

import "time"

// Limits, with their sources.
const (
	// SubscriptionsPerStreamMax is the most ids of one GetStreamingEvents (EWS
	// "How to: Maintain affinity between a group of subscriptions and the
	// Mailbox server in Exchange": 200).
	SubscriptionsPerStreamMax = 200
	// StreamTimeoutMin and StreamTimeoutMax bound a stream's life (EWS reference
	// "ConnectionTimeout": 1 to 30 minutes).
	StreamTimeoutMin = time.Minute
	StreamTimeoutMax = 30 * time.Minute
	// ItemsPerRequestMax is the most ids of one GetItem (EWS "EWS throttling in
	// Exchange", batch requests: about 10).
	ItemsPerRequestMax = 10
	// FindRowsMax is the most rows of one FindItem (EWS "EWS throttling in
	// Exchange", EWSFindCountLimit: 1000).
	FindRowsMax = 1000
	// SyncChangesMax is the most changes of one SyncFolderItems (EWS reference
	// "MaxChangesReturned": 1 to 512).
	SyncChangesMax = 512

	// SilenceMaxDefault is two heartbeats of 45 s and some grace (EWS Managed API,
	// GetStreamingEventsRequest: heartbeat frequency 45,000 ms).
	SilenceMaxDefault = 100 * time.Second
	// RequestTimeoutDefault is the time one ordinary request may take (EWS "EWS
	// throttling in Exchange": a request may run for 1 minute).
	RequestTimeoutDefault = 60 * time.Second

	// Bounds of what is read: our own, far above anything real.
	AnswerMax     = 16 << 20 // bytes of an ordinary answer
	EnvelopeMax   = 4 << 20  // bytes of one envelope of a stream
	DepthMax      = 64       // nested elements
	ElementsMax   = 500_000  // elements of a document
	AttributesMax = 64       // attributes of an element
	textMax       = 300      // characters of a server's text that are kept in an error
)
