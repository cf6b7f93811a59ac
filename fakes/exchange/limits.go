package exchange

import "time"

const (
	// EventsPerNotificationMax: EWS reference "GetStreamingEvents" reports the
	// first 50 events of a subscription in one notification.
	EventsPerNotificationMax = 50
	// NotificationsPerTakeMax bounds one envelope of a stream.
	NotificationsPerTakeMax = 100
	// QueueMaxDefault bounds the unread events of one subscription. The real
	// length is not published.
	QueueMaxDefault = 2000
	// TouchedWindow: observed in Exchange Online, about 16 mailboxes in about
	// five minutes.
	TouchedWindow = 5 * time.Minute
	// ItemIDLenMax: EWS "EWS identifiers in Exchange": at most 512 bytes.
	ItemIDLenMax = 512
	// SyncChangesMax: EWS reference "MaxChangesReturned": 1 to 512.
	SyncChangesMax = 512
	// DeletionsKeptMax bounds what a folder remembers of deleted items for
	// SyncFolderItems.
	DeletionsKeptMax = 10_000
	// PreviewLenMax: EWS reference "Preview": the first 256 characters.
	PreviewLenMax = 256
	// BodyKeptMax bounds the text of a message kept for its body, in bytes.
	BodyKeptMax = 64 << 10
	// RawKeptMax bounds the original messages kept by the organisation, in
	// bytes over all; the oldest go first.
	RawKeptMax = 256 << 20
	// RecipientsMax bounds one delivery.
	RecipientsMax = 50_000
	// AliasesMax and RulesMax bound what a mailbox has of them. A real mailbox
	// has 256 KB for its rules.
	AliasesMax = 300
	RulesMax   = 100
	// TookMax bounds how long a move, a fail-over or a client's rule takes.
	TookMax = 24 * time.Hour
	// AppointmentsMax bounds the calendar of a mailbox.
	AppointmentsMax = 10_000
	// ScopeMax bounds the lists of a policy and of an impersonation scope.
	ScopeMax = 50_000
	// headerFieldMax bounds one unfolded header field, in bytes.
	headerFieldMax = 64 << 10
	// mimeDepthMax and mimePartsMax bound the walk through a message.
	mimeDepthMax = 16
	mimePartsMax = 500
)
