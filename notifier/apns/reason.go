package apns

import (
	"net/http"
	"time"
)

// Reasons of this package, for pushes that have no answer of Apple's.
const (
	ReasonInvalidRequest = "invalid-request"  // refused before sending; Err names the field
	ReasonUnreachable    = "unreachable"      // no lane can connect
	ReasonNoAnswer       = "no-answer"        // deadline passed; the outcome is unknown
	ReasonConnectionLost = "connection-lost"  // cut while waiting; the outcome is unknown
	ReasonBusy           = "no-free-stream"   // waited too long for a stream; nothing was sent
	ReasonCancelled      = "cancelled"        // the caller's context ended
	ReasonClosed         = "closed"           // the client is closed; nothing was sent
	ReasonSigning        = "token-not-signed" // the provider token could not be made
)

// Apple's reasons that the code speaks of by name.
const (
	reasonBadDeviceToken      = "BadDeviceToken"
	reasonBadMessageID        = "BadMessageId"
	reasonBadCollapseID       = "BadCollapseId"
	reasonBadPriority         = "BadPriority"
	reasonBadTopic            = "BadTopic"
	reasonInvalidPushType     = "InvalidPushType"
	reasonMissingTopic        = "MissingTopic"
	reasonMissingDeviceToken  = "MissingDeviceToken"
	reasonPayloadEmpty        = "PayloadEmpty"
	reasonPayloadTooLarge     = "PayloadTooLarge"
	reasonExpiredToken        = "ExpiredProviderToken"
	reasonTooManyTokenUpdates = "TooManyProviderTokenUpdates"
)

// remedy is what the client itself does before it lets an answer out.
type remedy uint8

const (
	none      remedy = iota
	elsewhere        // try once more, on another connection if there is one
	reconnect        // replace the connection, try once more
	renew            // mint a provider token, replace the connection, try once more
	holdToken        // stop minting for a while, replace the connection, try once more
)

// watched says which guard looks at the answer.
type watched uint8

const (
	unwatched  watched = iota
	badToken           // a wave of these is our own configuration
	forbidden          // likewise
	unavailing         // a wave of these is an outage
	watchedEnd
)

// rule is the judgement on one reason.
type rule struct {
	status    int
	action    Action
	remedy    remedy
	watched   watched
	wait      time.Duration // before a repeat, unless the answer names one
	meaning   string        // what it means and how to repair it
	reference string
}

// Where the judgements come from.
const (
	refResponses = "Apple: Handling notification responses from APNs"
	refSending   = "Apple: Sending notification requests to APNs"
	refToken     = "Apple: Establishing a token-based connection to APNs"
	refGenerate  = "Apple: Generating a remote notification"
)

// unavailableWait stands for Options.UnavailableWait in the table.
const unavailableWait = -1

// rules holds every reason Apple documents, and two that it sends.
var rules = map[string]rule{
	"BadCollapseId":      {status: 400, action: Drop, meaning: "the collapse ID exceeds 64 bytes", reference: refSending},
	"BadDeviceToken":     {status: 400, action: Forget, watched: badToken, meaning: "the device token is malformed, unknown or of the other environment; check that the host fits the app's build", reference: refResponses},
	"BadExpirationDate":  {status: 400, action: Drop, meaning: "apns-expiration is not a time", reference: refSending},
	"BadMessageId":       {status: 400, action: Drop, meaning: "apns-id is not a UUID", reference: refSending},
	"BadPriority":        {status: 400, action: Drop, meaning: "apns-priority does not fit the push type", reference: refSending},
	"BadTopic":           {status: 400, action: Pause, wait: probeWait, meaning: "the topic is not valid; set it to the app's bundle ID", reference: refSending},
	"DuplicateHeaders":   {status: 400, action: Drop, meaning: "a header was sent twice", reference: refResponses},
	"IdleTimeout":        {status: 400, action: Retry, remedy: reconnect, meaning: "the connection was idle", reference: refResponses},
	"InvalidPushType":    {status: 400, action: Drop, meaning: "apns-push-type is not one of Apple's", reference: refSending},
	"MissingDeviceToken": {status: 400, action: Forget, meaning: "the device token is empty", reference: refResponses},
	"MissingTopic":       {status: 400, action: Pause, wait: probeWait, meaning: "the topic is missing; set it to the app's bundle ID", reference: refSending},
	"PayloadEmpty":       {status: 400, action: Drop, meaning: "the payload is empty", reference: refGenerate},
	"TopicDisallowed":    {status: 400, action: Pause, remedy: none, wait: probeWait, meaning: "the key may not push to this topic; check the key's scope and the bundle ID", reference: refToken},

	"DeviceTokenNotForTopic": {status: 400, action: Forget, watched: badToken, meaning: "the device token belongs to another app; check the bundle ID", reference: refResponses},

	"BadCertificate":             {status: 403, action: Pause, wait: probeWait, meaning: "the certificate is bad; renew it at Apple", reference: refResponses},
	"BadCertificateEnvironment":  {status: 403, action: Pause, wait: probeWait, meaning: "the certificate is for the other environment; use the other host or the other certificate", reference: refResponses},
	"BadEnvironmentKeyIdInToken": {status: 403, action: Pause, wait: probeWait, meaning: "the key is for the other environment; use the other host or the other key", reference: refToken},
	"ExpiredProviderToken":       {status: 403, action: Pause, remedy: renew, wait: probeWait, meaning: "the provider token is over an hour old; if a new one is refused too, check this host's clock", reference: refToken},
	"Forbidden":                  {status: 403, action: Drop, watched: forbidden, meaning: "the action is not allowed", reference: refResponses},
	"InvalidProviderToken":       {status: 403, action: Pause, remedy: reconnect, wait: probeWait, meaning: "the provider token is not accepted; check the .p8 key, the key ID, the team ID and that the key was not revoked", reference: refToken},
	"MissingProviderToken":       {status: 403, action: Pause, wait: probeWait, meaning: "neither a certificate nor a provider token was accepted; configure one", reference: refToken},
	"UnrelatedKeyIdInToken":      {status: 403, action: Retry, remedy: reconnect, meaning: "the connection began with another key", reference: refToken},

	"BadPath":          {status: 404, action: Drop, meaning: "the path is not one of Apple's", reference: refResponses},
	"MethodNotAllowed": {status: 405, action: Drop, meaning: "the method was not POST", reference: refResponses},
	"ExpiredToken":     {status: 410, action: Forget, meaning: "the device token has expired", reference: refResponses},
	"Unregistered":     {status: 410, action: Forget, meaning: "the app was removed from the device", reference: refResponses},
	"PayloadTooLarge":  {status: 413, action: Drop, meaning: "the payload exceeds 4,096 bytes", reference: refGenerate},

	"TooManyProviderTokenUpdates": {status: 429, action: Retry, remedy: holdToken, wait: deviceWait, meaning: "the provider token was renewed too often on one connection", reference: refToken},
	"TooManyRequests":             {status: 429, action: Retry, wait: deviceWait, meaning: "too many pushes in a row to this device", reference: refResponses},

	"InternalServerError": {status: 500, action: Retry, remedy: elsewhere, watched: unavailing, wait: unavailableWait, meaning: "an error inside APNs", reference: refResponses},
	"ServiceUnavailable":  {status: 503, action: Retry, watched: unavailing, wait: unavailableWait, meaning: "APNs is unavailable", reference: refResponses},
	"Shutdown":            {status: 503, action: Retry, remedy: reconnect, watched: unavailing, meaning: "the APNs server shuts down", reference: refResponses},
}

// judge finds the rule for an answer. A reason that is not in the table is
// judged by its status class. A refusal without any reason is not Apple's
// word (a proxy, a torn body), so nothing is given up or forgotten for it.
func judge(status int, reason string) rule {
	if status == http.StatusOK {
		return rule{status: status, action: Delivered, meaning: "accepted", reference: refResponses}
	}
	if r, ok := rules[reason]; ok {
		return r
	}
	r := rule{status: status, meaning: "not a reason Apple documents", reference: refResponses}
	if reason == "" {
		r.meaning = "the answer has no reason; is a proxy between here and Apple?"
	}
	switch {
	case status == http.StatusForbidden || status == http.StatusUnauthorized || status == http.StatusProxyAuthRequired:
		r.action, r.wait = Pause, probeWait
	case status == http.StatusTooManyRequests:
		r.action, r.wait = Retry, deviceWait
	case status >= 500:
		r.action, r.watched, r.wait = Retry, unavailing, unavailableWait
	case status >= 300 && status < 400:
		r.action, r.wait, r.meaning = Pause, probeWait, "redirected; redirects are not followed, is a proxy between here and Apple?"
	case status == http.StatusRequestTimeout || status < 300 || reason == "":
		r.action = Retry
	case status == http.StatusGone:
		r.action = Forget
	default:
		r.action = Drop
	}
	return r
}
