package fakewns

import (
	"net/http"
	"time"

	"mailbell/fakes/fault"
	"mailbell/fakes/journal"
)

// App is an app that may push.
type App struct {
	Name   string
	SID    string // package SID, ms-app://s-1-15-2-…; client_id of the token request
	Secret string
	AppSDK bool // a Windows App SDK app: badges and tiles are accepted and never shown
}

// Options configures a Server.
type Options struct {
	Apps      []App
	TokenLife time.Duration // 0: TokenLifeDefault
	// NoExpiresIn leaves expires_in out of the token, as a recording of 2012 has it.
	NoExpiresIn bool
	// Verify accepts tokens issued elsewhere and names their app. nil: none.
	Verify func(token string) (app string, ok bool)

	ThrottleStatus int           // 0: 406; or 429
	RateMax        int           // pushes of one app a second before it is throttled; 0: any number
	RateRetryAfter time.Duration // for how long then; 0: RetryAfterDefault
	ChannelMax     int           // pushes to one channel in ChannelWindow; 0: any number
	ChannelWindow  time.Duration // 0: ChannelWindowDefault
	// AwayToastsDropped answers toasts for an absent device 200 dropped. The
	// documentation says in one place that they are kept, in another that they
	// are dropped; they are kept unless this is set.
	AwayToastsDropped bool

	Now     func() time.Time // nil: time.Now
	Journal *journal.Journal // nil: a private one
	Faults  *fault.Set       // nil: none
	Profile fault.Profile    // "": fault.Calm
	Seed    int64            // of identifiers, latencies and unasked misbehaviour
}

// What Microsoft "Push notification service request and response headers"
// documents.
const (
	BodyMax = 5000 // bytes
	TagMax  = 16   // characters of a tag or group
)

// What was seen in the field.
const (
	TokenLifeDefault  = 24 * time.Hour
	RetryAfterDefault = 15 * time.Minute // 900 s were recorded
)

// What this package chose, since nothing is known.
const (
	ChannelWindowDefault = 10 * time.Minute

	slowDefault = 5 * time.Second
	tokensMax   = 10_000 // tokens remembered
	toastsMax   = 4096   // toasts remembered per device
	formMax     = 64 << 10
	readMax     = 64 << 10 // bytes of a body that are read at all
)

func (o *Options) complete() {
	if o.TokenLife == 0 {
		o.TokenLife = TokenLifeDefault
	}
	if o.ThrottleStatus != http.StatusTooManyRequests {
		o.ThrottleStatus = http.StatusNotAcceptable
	}
	if o.RateRetryAfter == 0 {
		o.RateRetryAfter = RetryAfterDefault
	}
	if o.ChannelWindow == 0 {
		o.ChannelWindow = ChannelWindowDefault
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Journal == nil {
		o.Journal = journal.New()
	}
	if o.Profile == "" {
		o.Profile = fault.Calm
	}
}
