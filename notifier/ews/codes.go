package ews

import "time"

// Codes that are named in the source outside of the table.
const (
	codeNone                = "NoError"
	codeBusy                = "ErrorServerBusy"
	codeInternal            = "ErrorInternalServerError"
	codeInvalidSubscription = "ErrorInvalidSubscription"
	codeBatchStopped        = "ErrorBatchProcessingStopped"
)

// code is what is known of a response code.
type code struct {
	first Reaction      // what to do
	then  Reaction      // what to do when that did not help
	wait  time.Duration // wait before the next try when the server names none
}

// unknownCode is for those of the about 500 codes that are not in the table.
var unknownCode = code{first: BackOff, then: Permanent}

// codes are the response codes that a watcher of mailboxes meets (EWS reference
// "ResponseCode"), each with what to do about it. It is never changed.
var codes = map[string]code{
	// Requests that are wrong.
	"ErrorSchemaValidation":           {first: GiveUp, then: GiveUp}, // a number out of bounds too
	"ErrorInvalidRequest":             {first: GiveUp, then: GiveUp},
	"ErrorInvalidSubscriptionRequest": {first: GiveUp, then: GiveUp}, // several mailboxes in one Subscribe

	// Schemas the server, or the mailbox's older server behind it, does not take.
	"ErrorInvalidServerVersion":                  {first: LowerVersion, then: GiveUp},
	"ErrorIncorrectSchemaVersion":                {first: LowerVersion, then: GiveUp},
	"ErrorInvalidSchemaVersionForMailboxVersion": {first: LowerVersion, then: GiveUp},

	// Rights, and who is asked for.
	"ErrorImpersonateUserDenied":                  {first: Permanent, then: Permanent}, // role or scope missing
	"ErrorImpersonationDenied":                    {first: Permanent, then: Permanent},
	"ErrorImpersonationFailed":                    {first: BackOff, then: Permanent}, // trouble with the directory
	"ErrorInvalidExchangeImpersonationHeaderData": {first: Permanent, then: Permanent},
	"ErrorInvalidUserPrincipalName":               {first: Permanent, then: Permanent},
	"ErrorInvalidUserSid":                         {first: Permanent, then: Permanent},
	"ErrorInvalidSmtpAddress":                     {first: Permanent, then: Permanent},
	"ErrorNonPrimarySmtpAddress":                  {first: Rediscover, then: Permanent}, // Autodiscover tells the primary one
	"ErrorNonExistentMailbox":                     {first: Rediscover, then: Permanent}, // deleted, or moved out of the organisation
	"ErrorAccountDisabled":                        {first: Permanent, then: Permanent},
	"ErrorPasswordExpired":                        {first: Permanent, then: Permanent},
	"ErrorPasswordChangeRequired":                 {first: Permanent, then: Permanent},
	"ErrorAccessDenied":                           {first: Permanent, then: Permanent},
	"ErrorSubscriptionDelegateAccessNotSupported": {first: Permanent, then: Permanent}, // neither impersonating nor owner

	// Throttling (EWS "EWS throttling in Exchange").
	codeBusy:                         {first: BackOff, then: BackOff},
	"ErrorExceededConnectionCount":   {first: BackOff, then: BackOff},     // of a stream: charge another member of the group
	"ErrorExceededSubscriptionCount": {first: Permanent, then: Permanent}, // unsubscribe what is left over; others' count as well
	"ErrorTooManyObjectsOpened":      {first: BackOff, then: BackOff, wait: 5 * time.Minute},

	// Subscriptions (EWS "Handling notification-related errors in EWS in
	// Exchange").
	"ErrorSubscriptionNotFound":             {first: Resubscribe, then: Resubscribe},
	codeInvalidSubscription:                 {first: Resubscribe, then: Rediscover},
	"ErrorExpiredSubscription":              {first: Resubscribe, then: Resubscribe},
	"ErrorReadEventsFailed":                 {first: Resubscribe, then: Rediscover},
	"ErrorSubscriptionAccessDenied":         {first: Resubscribe, then: GiveUp}, // made by another account
	"ErrorSubscriptionUnsubsribed":          {first: Nothing, then: Nothing},    // spelt so by Exchange
	"ErrorSubscriptionUnsubscribed":         {first: Nothing, then: Nothing},
	"ErrorNewEventStreamConnectionOpened":   {first: Nothing, then: Nothing}, // never by reopening: two would fight for ever
	"ErrorMissedNotificationEvents":         {first: CatchUp, then: Resubscribe},
	"ErrorProxyRequestNotAllowed":           {first: Resubscribe, then: Rediscover},
	"ErrorNoRespondingCASInDestinationSite": {first: Resubscribe, then: Rediscover},

	// Mailboxes on the move, databases down.
	"ErrorMailboxMoveInProgress":          {first: Rediscover, then: Rediscover, wait: 30 * time.Second}, // or already elsewhere
	"ErrorMailboxStoreUnavailable":        {first: BackOff, then: Rediscover},
	"ErrorMailboxFailover":                {first: BackOff, then: Rediscover},
	"ErrorConnectionFailed":               {first: BackOff, then: Rediscover},
	"ErrorConnectionFailedTransientError": {first: BackOff, then: Rediscover},

	// A server in trouble.
	"ErrorInternalServerTransientError": {first: BackOff, then: BackOff},
	"ErrorTimeoutExpired":               {first: BackOff, then: BackOff},
	"ErrorInsufficientResources":        {first: BackOff, then: BackOff},
	"ErrorNotEnoughMemory":              {first: BackOff, then: BackOff},
	"ErrorADUnavailable":                {first: BackOff, then: BackOff},
	"ErrorADOperation":                  {first: BackOff, then: BackOff},
	codeInternal:                        {first: BackOff, then: GiveUp}, // of one item: it is the item

	// Items and folders.
	codeBatchStopped:            {first: BackOff, then: BackOff}, // the item was not tried
	"ErrorItemNotFound":         {first: Nothing, then: Nothing}, // gone before anybody looked
	"ErrorInvalidSyncStateData": {first: CatchUp, then: CatchUp}, // begin anew without a state
	"ErrorFolderNotFound":       {first: Rediscover, then: Permanent},
	"ErrorSyncFolderNotFound":   {first: Rediscover, then: Permanent},
}
