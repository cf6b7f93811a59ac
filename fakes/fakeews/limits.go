package fakeews

import "time"

const (
	// BodyMax is the largest request: 64 MiB in the web.config Exchange 2016
	// and 2019 ship with.
	BodyMax = 64 << 20
	// depthMax and nodesMax bound the XML of a request.
	depthMax = 64
	nodesMax = 200_000
	// SubscriptionsPerStreamMax: EWS "How to: Maintain affinity between a group
	// of subscriptions and the Mailbox server": at most 200 ids.
	SubscriptionsPerStreamMax = 200
	// EWS reference "ConnectionTimeout": minutes, 1 to 30 inclusive.
	connectionTimeoutMin, connectionTimeoutMax = 1, 30
	// HeartbeatDefault: the EWS Managed API expects one every 45 seconds.
	HeartbeatDefault = 45 * time.Second
	// writeTimeout bounds one write to a client that does not read.
	writeTimeout = 30 * time.Second
	// maxChangesMin and maxChangesMax: EWS reference "MaxChangesReturned".
	maxChangesMin, maxChangesMax = 1, 512
	// candidatesMax: EWS reference "ResolveNames": at most 100 candidates.
	candidatesMax = 100
	// idsPerRequestMax bounds the ids of one GetItem; real servers bound the
	// time instead (one minute).
	idsPerRequestMax = 10_000
	// magicMax bounds what is remembered of magic mailboxes.
	magicMax = 100_000
)
