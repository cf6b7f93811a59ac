package exchange

import "errors"

// ErrNoMailbox says that an address has no mailbox in the organisation.
var ErrNoMailbox = errors.New("exchange: no mailbox has this address")

// ErrUnknown says that a server, database, account or alias is not in the
// organisation.
var ErrUnknown = errors.New("unknown")

// Error is a refusal as Exchange words it: a response code, a text, and the
// values that go into MessageXml.
type Error struct {
	Code   string
	Text   string
	Values []Value
}

// Value is one named value of MessageXml.
type Value struct{ Name, Text string }

func (e *Error) Error() string { return "exchange: " + e.Code }

// Is makes two errors of the same code equal to errors.Is.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Code == e.Code
}

// The response codes the organisation itself gives. EWS reference
// "ResponseCode"; the spelling of Unsubsribed is Microsoft's.
const (
	CodeAccessDenied            = "ErrorAccessDenied"
	CodeAccountDisabled         = "ErrorAccountDisabled"
	CodeExceededConnectionCount = "ErrorExceededConnectionCount"
	CodeExceededSubscriptions   = "ErrorExceededSubscriptionCount"
	CodeFolderNotFound          = "ErrorFolderNotFound"
	CodeInvalidIDMalformed      = "ErrorInvalidIdMalformed"
	CodeInvalidSubscription     = "ErrorInvalidSubscription"
	CodeInvalidSyncState        = "ErrorInvalidSyncStateData"
	CodeInvalidSID              = "ErrorInvalidUserSid"
	CodeInvalidUPN              = "ErrorInvalidUserPrincipalName"
	CodeItemNotFound            = "ErrorItemNotFound"
	CodeMailboxMove             = "ErrorMailboxMoveInProgress"
	CodeMissedEvents            = "ErrorMissedNotificationEvents"
	CodeNewStreamOpened         = "ErrorNewEventStreamConnectionOpened"
	CodeNonExistentMailbox      = "ErrorNonExistentMailbox"
	CodeNonPrimaryAddress       = "ErrorNonPrimarySmtpAddress"
	CodeProxyNotAllowed         = "ErrorProxyRequestNotAllowed"
	CodeServerBusy              = "ErrorServerBusy"
	CodeStoreUnavailable        = "ErrorMailboxStoreUnavailable"
	CodeSubscriptionDenied      = "ErrorSubscriptionAccessDenied"
	CodeSubscriptionNotFound    = "ErrorSubscriptionNotFound"
	CodeSyncFolderNotFound      = "ErrorSyncFolderNotFound"
	CodeTooManyObjectsOpened    = "ErrorTooManyObjectsOpened"
	CodeUnsubscribed            = "ErrorSubscriptionUnsubsribed"
)

var texts = map[string]string{
	CodeAccessDenied:            "Access is denied. Check credentials and try again.",
	CodeAccountDisabled:         "The account is disabled.",
	CodeExceededConnectionCount: "You have exceeded the available concurrent connections for your account.  Try again once your other requests have completed.",
	CodeExceededSubscriptions:   "You have exceeded the available subscriptions for your account.  Remove unnecessary subscriptions and try your request again.",
	CodeFolderNotFound:          "The specified folder could not be found in the store.",
	CodeInvalidIDMalformed:      "Id is malformed.",
	CodeInvalidSubscription:     "Subscription is invalid.",
	CodeInvalidSyncState:        "Synchronization state data is corrupt or otherwise invalid.",
	CodeInvalidSID:              "The user SID is invalid.",
	CodeInvalidUPN:              "The user principal name is invalid.",
	CodeItemNotFound:            "The specified object was not found in the store.",
	CodeMailboxMove:             "Mailbox move in progress. Try again later., Cannot open mailbox.",
	CodeMissedEvents:            "Some notification events were missed. Resynchronize; later events are reported on this connection.",
	CodeNewStreamOpened:         "A new event stream connection was opened for the subscription.",
	CodeNonExistentMailbox:      "The SMTP address has no mailbox associated with it.",
	CodeNonPrimaryAddress:       "The primary SMTP address must be specified when referencing a mailbox.",
	CodeProxyNotAllowed:         "The request could not be proxied to the site of the mailbox.",
	CodeServerBusy:              "The server cannot service this request right now. Try again later.",
	CodeStoreUnavailable:        "The mailbox database is temporarily unavailable., Cannot open mailbox.",
	CodeSubscriptionDenied:      "Access is denied. Only the subscription owner may access the subscription.",
	CodeSubscriptionNotFound:    "The specified subscription was not found.",
	CodeSyncFolderNotFound:      "The specified sync folder could not be found.",
	CodeTooManyObjectsOpened:    "Too many concurrent connections opened., Cannot open mailbox.",
	CodeUnsubscribed:            "The subscription was unsubscribed.",
}

func refuse(code string, values ...Value) *Error {
	return &Error{Code: code, Text: texts[code], Values: values}
}
