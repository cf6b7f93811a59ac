package apns

import (
	"testing"

	"github.com/sideshow/apns2"
)

// appleReasons is Apple's table ("Handling notification responses from APNs",
// values for the APNs JSON reason key), with the two reasons of the token page.
var appleReasons = map[string]struct {
	status int
	action Action
}{
	apns2.ReasonBadCollapseID:               {400, Drop},
	apns2.ReasonBadDeviceToken:              {400, Forget},
	apns2.ReasonBadExpirationDate:           {400, Drop},
	apns2.ReasonBadMessageID:                {400, Drop},
	apns2.ReasonBadPriority:                 {400, Drop},
	apns2.ReasonBadTopic:                    {400, Pause},
	apns2.ReasonDeviceTokenNotForTopic:      {400, Forget},
	apns2.ReasonDuplicateHeaders:            {400, Drop},
	apns2.ReasonIdleTimeout:                 {400, Retry},
	apns2.ReasonInvalidPushType:             {400, Drop},
	apns2.ReasonMissingDeviceToken:          {400, Forget},
	apns2.ReasonMissingTopic:                {400, Pause},
	apns2.ReasonPayloadEmpty:                {400, Drop},
	apns2.ReasonTopicDisallowed:             {400, Pause},
	apns2.ReasonBadCertificate:              {403, Pause},
	apns2.ReasonBadCertificateEnvironment:   {403, Pause},
	apns2.ReasonExpiredProviderToken:        {403, Pause},
	apns2.ReasonForbidden:                   {403, Drop},
	apns2.ReasonInvalidProviderToken:        {403, Pause},
	apns2.ReasonMissingProviderToken:        {403, Pause},
	"UnrelatedKeyIdInToken":                 {403, Retry},
	"BadEnvironmentKeyIdInToken":            {403, Pause},
	apns2.ReasonBadPath:                     {404, Drop},
	apns2.ReasonMethodNotAllowed:            {405, Drop},
	apns2.ReasonExpiredToken:                {410, Forget},
	apns2.ReasonUnregistered:                {410, Forget},
	apns2.ReasonPayloadTooLarge:             {413, Drop},
	apns2.ReasonTooManyProviderTokenUpdates: {429, Retry},
	apns2.ReasonTooManyRequests:             {429, Retry},
	apns2.ReasonInternalServerError:         {500, Retry},
	apns2.ReasonServiceUnavailable:          {503, Retry},
	apns2.ReasonShutdown:                    {503, Retry},
}

func TestEveryReasonHasItsRow(t *testing.T) {
	for reason, want := range appleReasons {
		r, ok := rules[reason]
		if !ok {
			t.Errorf("%s: no row", reason)
			continue
		}
		if r.status != want.status || r.action != want.action {
			t.Errorf("%s: %d %v, want %d %v", reason, r.status, r.action, want.status, want.action)
		}
		if got := judge(want.status, reason); got != r {
			t.Errorf("%s: judged %+v", reason, got)
		}
	}
	for reason, r := range rules {
		if _, ok := appleReasons[reason]; !ok {
			t.Errorf("%s: a row that Apple does not know", reason)
		}
		if r.meaning == "" || r.reference == "" {
			t.Errorf("%s: meaning or reference missing", reason)
		}
		if (r.action == Pause) != (r.wait == probeWait) {
			t.Errorf("%s: a pause needs a wait, and only a pause probes", reason)
		}
	}
}

func TestUnknownReasonsAreJudgedByStatusClass(t *testing.T) {
	for status := 200; status < 600; status++ {
		want := Drop
		switch {
		case status == 200:
			want = Delivered
		case status < 300, status == 408, status == 429, status >= 500:
			want = Retry
		case status < 400, status == 401, status == 403, status == 407:
			want = Pause
		case status == 410:
			want = Forget
		}
		if r := judge(status, "NoSuchReason"); r.action != want {
			t.Errorf("%d: %v, want %v", status, r.action, want)
		}
		if r := judge(status, ""); r.action == Drop || r.action == Forget {
			t.Errorf("%d without a reason: %v for an answer that is not Apple's", status, r.action)
		}
	}
}

func TestActionNames(t *testing.T) {
	names := map[string]bool{}
	for a := Delivered; a <= Pause; a++ {
		names[a.String()] = true
	}
	if len(names) != 5 || Action(0).String() != "action(0)" {
		t.Errorf("%v", names)
	}
}
