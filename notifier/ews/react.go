package ews

import (
	"errors"
	"fmt"
	"net/http"
)

// Reaction is what to do after an error. The vocabulary is closed.
type Reaction uint8

// The reactions. The zero value is not one of them.
const (
	// BackOff: wait, as long as told or exponentially, and repeat the request.
	BackOff Reaction = iota + 1
	// Resubscribe: make a new subscription in the same group, then compare.
	Resubscribe
	// Rediscover: ask Autodiscover again, perhaps join another group, subscribe,
	// then compare.
	Rediscover
	// Permanent: not for this mailbox, not now; ask again at long intervals and
	// tell the operator.
	Permanent
	// Nothing: there is nothing to do.
	Nothing
	// CatchUp: something was missed; compare the mailbox, keep the subscription.
	CatchUp
	// LowerVersion: repeat with an older request schema.
	LowerVersion
	// GiveUp: the request itself is refused for good; repeating it is no use.
	GiveUp
)

var reactionNames = map[Reaction]string{
	BackOff: "back off", Resubscribe: "resubscribe", Rediscover: "rediscover", Permanent: "permanent", Nothing: "nothing",
	CatchUp: "catch up", LowerVersion: "lower version", GiveUp: "give up",
}

// String is the reaction in words.
func (r Reaction) String() string {
	if s, ok := reactionNames[r]; ok {
		return s
	}
	return fmt.Sprintf("reaction(%d)", uint8(r))
}

// reactions by response code (EWS reference "ResponseCode"; EWS "Handling
// notification-related errors in EWS in Exchange"; EWS "EWS throttling in
// Exchange"). What is not in it backs off.
var reactions = map[string]Reaction{
	"ErrorSchemaValidation": GiveUp, "ErrorInvalidRequest": GiveUp, "ErrorInvalidSubscriptionRequest": GiveUp,
	"ErrorInvalidServerVersion": LowerVersion, "ErrorIncorrectSchemaVersion": LowerVersion, "ErrorInvalidSchemaVersionForMailboxVersion": LowerVersion,

	"ErrorImpersonateUserDenied": Permanent, "ErrorImpersonationDenied": Permanent, "ErrorImpersonationFailed": BackOff,
	"ErrorInvalidExchangeImpersonationHeaderData": Permanent, "ErrorInvalidUserPrincipalName": Permanent, "ErrorInvalidUserSid": Permanent,
	"ErrorInvalidSmtpAddress": Permanent, "ErrorNonPrimarySmtpAddress": Rediscover, "ErrorNonExistentMailbox": Rediscover,
	"ErrorAccountDisabled": Permanent, "ErrorPasswordExpired": Permanent, "ErrorPasswordChangeRequired": Permanent,
	"ErrorAccessDenied": Permanent, "ErrorMoreThanOneAccessModeSpecified": GiveUp,

	"ErrorServerBusy": BackOff, "ErrorExceededConnectionCount": BackOff, "ErrorTooManyObjectsOpened": BackOff,
	"ErrorExceededSubscriptionCount": Permanent, "ErrorSubscriptionDelegateAccessNotSupported": Permanent, "ErrorExceededFindCountLimit": BackOff,

	"ErrorSubscriptionAccessDenied": Resubscribe, "ErrorSubscriptionNotFound": Resubscribe, "ErrorInvalidSubscription": Resubscribe,
	"ErrorExpiredSubscription": Resubscribe, "ErrorReadEventsFailed": Resubscribe,
	"ErrorSubscriptionUnsubsribed": Nothing, "ErrorSubscriptionUnsubscribed": Nothing, "ErrorNewEventStreamConnectionOpened": Nothing,
	"ErrorMissedNotificationEvents": CatchUp,

	"ErrorMailboxMoveInProgress": Rediscover, "ErrorMailboxStoreUnavailable": BackOff, "ErrorMailboxFailover": BackOff,
	"ErrorConnectionFailed": BackOff, "ErrorConnectionFailedTransientError": BackOff,
	"ErrorProxyRequestNotAllowed": Rediscover, "ErrorNoRespondingCASInDestinationSite": Rediscover,

	"ErrorInternalServerTransientError": BackOff, "ErrorInternalServerError": BackOff, "ErrorTimeoutExpired": BackOff,
	"ErrorInsufficientResources": BackOff, "ErrorNotEnoughMemory": BackOff, "ErrorADUnavailable": BackOff, "ErrorADOperation": BackOff,

	"ErrorBatchProcessingStopped": BackOff, "ErrorItemNotFound": Nothing, "ErrorInvalidSyncStateData": CatchUp,
	"ErrorFolderNotFound": Rediscover, "ErrorSyncFolderNotFound": Rediscover, "ErrorInvalidIdMalformed": GiveUp,
}

// React says what to do after any error of this package or of the transport
// under it. Anything unknown backs off: that is always safe.
func React(err error) Reaction {
	if err == nil {
		return Nothing
	}
	if e, ok := errors.AsType[*ResponseError](err); ok {
		if r, ok := reactions[e.Code]; ok {
			return r
		}
		return BackOff
	}
	if e, ok := errors.AsType[*HTTPError](err); ok {
		switch e.Status {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
			if isErrorPage(e.Location) {
				return BackOff
			}
			return Rediscover
		case http.StatusNotFound:
			return Rediscover
		case http.StatusForbidden, statusLocked:
			return Permanent
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
			return GiveUp
		}
	}
	return BackOff
}

// statusLocked is Exchange Online's answer for a locked account (EWS Managed
// API, ExchangeServiceBase).
const statusLocked = 456

func isErrorPage(location string) bool {
	return len(location) >= len(errorPage) && location[len(location)-len(errorPage):] == errorPage
}

// errorPage is where a front end sends what it cannot serve just now.
const errorPage = "/genericerrorpage.htm"
