package ews

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// expectations are the codes of EWS reference "ResponseCode" that a watcher can
// meet, as the guides on throttling, notifications, impersonation and
// synchronisation explain them.
var expectations = []struct {
	code        string
	first, then Reaction
}{
	{"ErrorSchemaValidation", GiveUp, GiveUp},
	{"ErrorInvalidRequest", GiveUp, GiveUp},
	{"ErrorInvalidServerVersion", LowerVersion, GiveUp},
	{"ErrorIncorrectSchemaVersion", LowerVersion, GiveUp},
	{"ErrorInvalidSchemaVersionForMailboxVersion", LowerVersion, GiveUp},
	{"ErrorImpersonateUserDenied", Permanent, Permanent},
	{"ErrorImpersonationDenied", Permanent, Permanent},
	{"ErrorImpersonationFailed", BackOff, Permanent},
	{"ErrorInvalidExchangeImpersonationHeaderData", Permanent, Permanent},
	{"ErrorInvalidUserPrincipalName", Permanent, Permanent},
	{"ErrorInvalidUserSid", Permanent, Permanent},
	{"ErrorInvalidSmtpAddress", Permanent, Permanent},
	{"ErrorNonPrimarySmtpAddress", Rediscover, Permanent},
	{"ErrorNonExistentMailbox", Rediscover, Permanent},
	{"ErrorAccountDisabled", Permanent, Permanent},
	{"ErrorPasswordExpired", Permanent, Permanent},
	{"ErrorPasswordChangeRequired", Permanent, Permanent},
	{"ErrorAccessDenied", Permanent, Permanent},
	{"ErrorServerBusy", BackOff, BackOff},
	{"ErrorExceededConnectionCount", BackOff, BackOff},
	{"ErrorExceededSubscriptionCount", Permanent, Permanent},
	{"ErrorInvalidSubscriptionRequest", GiveUp, GiveUp},
	{"ErrorSubscriptionDelegateAccessNotSupported", Permanent, Permanent},
	{"ErrorSubscriptionAccessDenied", Resubscribe, GiveUp},
	{"ErrorSubscriptionNotFound", Resubscribe, Resubscribe},
	{"ErrorInvalidSubscription", Resubscribe, Rediscover},
	{"ErrorExpiredSubscription", Resubscribe, Resubscribe},
	{"ErrorSubscriptionUnsubsribed", Nothing, Nothing},
	{"ErrorSubscriptionUnsubscribed", Nothing, Nothing},
	{"ErrorReadEventsFailed", Resubscribe, Rediscover},
	{"ErrorMissedNotificationEvents", CatchUp, Resubscribe},
	{"ErrorNewEventStreamConnectionOpened", Nothing, Nothing},
	{"ErrorMailboxMoveInProgress", Rediscover, Rediscover},
	{"ErrorMailboxStoreUnavailable", BackOff, Rediscover},
	{"ErrorMailboxFailover", BackOff, Rediscover},
	{"ErrorConnectionFailed", BackOff, Rediscover},
	{"ErrorConnectionFailedTransientError", BackOff, Rediscover},
	{"ErrorProxyRequestNotAllowed", Resubscribe, Rediscover},
	{"ErrorNoRespondingCASInDestinationSite", Resubscribe, Rediscover},
	{"ErrorTooManyObjectsOpened", BackOff, BackOff},
	{"ErrorInternalServerTransientError", BackOff, BackOff},
	{"ErrorTimeoutExpired", BackOff, BackOff},
	{"ErrorInsufficientResources", BackOff, BackOff},
	{"ErrorNotEnoughMemory", BackOff, BackOff},
	{"ErrorADUnavailable", BackOff, BackOff},
	{"ErrorADOperation", BackOff, BackOff},
	{"ErrorInternalServerError", BackOff, GiveUp},
	{"ErrorBatchProcessingStopped", BackOff, BackOff},
	{"ErrorItemNotFound", Nothing, Nothing},
	{"ErrorInvalidSyncStateData", CatchUp, CatchUp},
	{"ErrorFolderNotFound", Rediscover, Permanent},
	{"ErrorSyncFolderNotFound", Rediscover, Permanent},
}

func TestEveryCodeHasItsReaction(t *testing.T) {
	expected := map[string]bool{}
	for _, x := range expectations {
		expected[x.code] = true
		e := newResponseError("GetItem", x.code, "", nil)
		wrapped := fmt.Errorf("watch: read: %w", e)
		if !e.Known() {
			t.Errorf("%s: missing in the table", x.code)
		}
		if got := React(wrapped); got != x.first {
			t.Errorf("React(%s) = %v, want %v", x.code, got, x.first)
		}
		if got := Escalate(wrapped); got != x.then {
			t.Errorf("Escalate(%s) = %v, want %v", x.code, got, x.then)
		}
	}
	for code := range codes {
		if !expected[code] {
			t.Errorf("%s is in the table but not expected here", code)
		}
	}
}

func TestReactionsSeeMoreThanTheCode(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want Reaction
	}{
		{"no error", nil, Nothing},
		{"a nil refusal", (*ResponseError)(nil), BackOff},
		{"an unknown code", newResponseError("GetItem", "ErrorFromTheFuture", "", nil), BackOff},
		{"no code", newResponseError("GetItem", "", "", nil), BackOff},
		{"a subscription lost to a move", newResponseError(opStream, "ErrorInvalidSubscription", "Subscription is invalid., MailboxMoveStarted, Cannot open mailbox.", nil), Rediscover},
		{"busy in the text", newResponseError("Subscribe", "ErrorInternalServerError", "An internal server error occurred. ErrorServerBusy", nil), BackOff},
		{"cancelled", fmt.Errorf("ews: GetItem: %w", context.Canceled), BackOff},
		{"late", context.DeadlineExceeded, BackOff},
		{"end of file", io.EOF, BackOff},
		{"cut", io.ErrUnexpectedEOF, BackOff},
		{"stream cut", ErrStreamCut, BackOff},
		{"stream silent", ErrStreamSilent, BackOff},
		{"stream closed", ErrStreamClosed, BackOff},
		{"reset", &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, BackOff},
		{"no name", &net.DNSError{IsNotFound: true}, BackOff},
		{"nonsense", &SyntaxError{Operation: "GetItem"}, BackOff},
		{"anything", errors.New("anything"), BackOff},
	}
	for _, tt := range tests {
		if got := React(tt.err); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		if tt.want == BackOff && tt.err != nil && Escalate(tt.err) == Nothing {
			t.Errorf("%s: comes to nothing when it lasts", tt.name)
		}
	}
}

func TestReactionsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for r := BackOff; r <= LowerVersion; r++ {
		if s := r.String(); strings.Contains(s, "(") || seen[s] {
			t.Errorf("reaction %d is called %q", uint8(r), s)
		}
		seen[r.String()] = true
	}
	if s := (LowerVersion + 1).String(); s != "reaction(8)" {
		t.Errorf("a value outside of the vocabulary is called %q", s)
	}
}

func TestBackOffIsReadFromValueAndText(t *testing.T) {
	tests := []struct {
		name, code, text string
		values           values
		want             time.Duration
	}{
		{"value", "ErrorServerBusy", "", values{"BackOffMilliseconds": "297749"}, 297749 * time.Millisecond},
		{"value with white space", "ErrorServerBusy", "", values{"BackOffMilliseconds": " 5000\n"}, 5 * time.Second},
		{"text", "ErrorServerBusy", "busy.  Suggested backoff time 5000 ms.", nil, 5 * time.Second},
		{"text of a value", "ErrorExceededConnectionCount", "", values{"ErrorMessage": "…Suggested backoff time 1500 ms."}, 1500 * time.Millisecond},
		{"value before text", "ErrorServerBusy", "Suggested backoff time 5000 ms.", values{"BackOffMilliseconds": "1"}, time.Millisecond},
		{"nothing", "ErrorServerBusy", "Try again later.", nil, 0},
		{"zero", "ErrorServerBusy", "Suggested backoff time 0 ms.", nil, 0},
		{"negative", "ErrorServerBusy", "", values{"BackOffMilliseconds": "-5"}, 0},
		{"absurd", "ErrorServerBusy", "", values{"BackOffMilliseconds": "9223372036854775807"}, backOffMax},
		{"beyond numbers", "ErrorServerBusy", "", values{"BackOffMilliseconds": "99999999999999999999"}, 0},
		{"cut text", "ErrorServerBusy", "Suggested backoff time 50", nil, 0},
		{"what the code is known to need", "ErrorTooManyObjectsOpened", "", nil, 5 * time.Minute},
		{"a move", "ErrorMailboxMoveInProgress", "", nil, 30 * time.Second},
		{"told more than known", "ErrorMailboxMoveInProgress", "Suggested backoff time 60000 ms.", nil, time.Minute},
	}
	for _, tt := range tests {
		if e := newResponseError("GetItem", tt.code, tt.text, tt.values); e.BackOff != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, e.BackOff, tt.want)
		}
	}
}

func TestInnerCodeOfAnInternalErrorCounts(t *testing.T) {
	for _, e := range []*ResponseError{
		newResponseError("GetItem", "ErrorInternalServerError", "…, ErrorServerBusy", nil),
		newResponseError("GetItem", "ErrorInternalServerError", "", values{"InnerErrorResponseCode": "ErrorServerBusy"}),
	} {
		if e.Code != "ErrorServerBusy" {
			t.Errorf("code %s, want ErrorServerBusy", e.Code)
		}
	}
	if e := newResponseError("GetItem", "ErrorInternalServerError", "An internal server error occurred.", nil); e.Code != "ErrorInternalServerError" {
		t.Errorf("code %s, want it as it came", e.Code)
	}
}

func TestBusyWithinAMessageTellsItsWait(t *testing.T) {
	_, err := clientFor(t, saying(t, "busy_message_response.xml")).SyncFolderItems(t.Context(), Caller{}, SyncRequest{})
	e, ok := errors.AsType[*ResponseError](err)
	if !ok || e.Code != "ErrorServerBusy" || e.BackOff != 5*time.Second || e.HTTPStatus != 200 {
		t.Errorf("error %#v, want ErrorServerBusy with 5s", err)
	}
}

func TestServersTextIsBounded(t *testing.T) {
	var many strings.Builder
	for i := range 100 {
		fmt.Fprintf(&many, `<t:Value Name="V%d">x</t:Value>`, i)
	}
	long := strings.Repeat("ü\n", 100_000)
	body := reply("Unsubscribe", `<m:UnsubscribeResponseMessage ResponseClass="Error"><m:MessageText>`+long+`</m:MessageText><m:ResponseCode>Error`+strings.Repeat("X", 10_000)+
		`</m:ResponseCode><m:MessageXml><t:Value Name="Long">`+long+`</t:Value>`+many.String()+`</m:MessageXml></m:UnsubscribeResponseMessage>`)
	e, ok := errors.AsType[*ResponseError](clientFor(t, answering(200, xmlType, body)).Unsubscribe(t.Context(), Caller{}, "x"))
	if !ok || len(e.Text) > errorTextMax+3 || len(e.Code) > errorNameMax+3 || len(e.Values) != errorValuesMax || len(e.Values["Long"]) > errorTextMax+3 {
		t.Fatalf("text of %d bytes, code of %d, %d values", len(e.Text), len(e.Code), len(e.Values))
	}
	if strings.ContainsAny(e.Error(), "\r\n") || strings.ContainsRune(e.Error(), '\ufffd') {
		t.Error("the error is on several lines or cut within a character")
	}
}
