package fakeapns

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"mailbell/fakes/fault"
	"mailbell/fakes/journal"
)

// The environments of the service.
const (
	Production  = "production"
	Development = "development"
)

// ProviderKey is a key that may sign provider tokens.
type ProviderKey struct {
	KeyID       string           // kid of its tokens
	TeamID      string           // iss of its tokens
	PublicKey   *ecdsa.PublicKey // on P-256
	Topics      []string         // it may push to; none: all of its team
	Environment string           // Production or Development; empty: both
	Related     []string         // IDs of keys that may take over on a connection
}

// Options configure a Server. Listener and Certificate are required.
type Options struct {
	Listener    net.Listener    // hands out raw connections; TLS is spoken inside. Close closes it
	Further     []net.Listener  // other ports of the same service, as Apple's 2197 beside 443
	Certificate tls.Certificate // of the service
	ClientCAs   *x509.CertPool  // sign acceptable client certificates; nil: any is accepted

	Environment string // Production or Development; empty: Production
	Keys        []ProviderKey
	AnyDevice   bool // a token that nobody added becomes known, online, with its first push's topic
	StrictToken bool // device tokens have exactly 64 digits

	StreamsMax          uint32 // of a connection after its first accepted push; 0: StreamsMaxDefault
	RejectionDropsToOne bool   // a 4xx other than 410 takes the limit back to 1 until the next 200; always in profiles real and hostile
	EnforceAtOnce       bool   // the limit counts from its sending on, not from its acknowledgement
	ViolationGoAway     bool   // a stream over the limit ends the connection, as in 2016
	ErrorsMax           int    // points of errors before GOAWAY; 0: ErrorsMaxDefault; negative: no limit
	BurstMax            int    // pushes to one device within BurstWindow before TooManyRequests; 0: no limit
	BurstWindow         time.Duration
	CertificateBadTopic bool          // a topic that is not the certificate's is BadTopic, not TopicDisallowed
	ReorderWithin       time.Duration // an online device gets a push up to so much later, by seed: later ones may overtake it; 0: in order
	Wedge               bool          // a connection that met an expired provider token refuses every other
	RefuseComposition   bool          // a payload that is no object with aps is refused with 400
	IdleTimeout         time.Duration // an idle connection is closed; 0: never
	IdleGoAway          bool          // after a GOAWAY
	Latency             time.Duration // of every answer; see SetLatency
	JournalHeaders      bool          // Detail headers: every header, the provider token left out

	Seed    int64
	Profile fault.Profile    // empty: calm
	Faults  *fault.Set       // nil: none
	Journal *journal.Journal // nil: a private one
	Now     func() time.Time // nil: time.Now
}

func (o *Options) complete() error {
	switch {
	case o.Listener == nil:
		return errors.New("fakeapns: Listener is nil; give one that accepts raw connections")
	case len(o.Certificate.Certificate) == 0:
		return errors.New("fakeapns: Certificate is empty; the service speaks TLS only")
	case o.Environment != "" && o.Environment != Production && o.Environment != Development:
		return fmt.Errorf("fakeapns: Environment %q; %s and %s are allowed", o.Environment, Production, Development)
	}
	for i, k := range o.Keys {
		if k.KeyID == "" || k.TeamID == "" || k.PublicKey == nil || k.PublicKey.Curve != elliptic.P256() {
			return fmt.Errorf("fakeapns: Keys[%d]: KeyID, TeamID and a PublicKey on P-256 are needed", i)
		}
	}
	if o.Environment == "" {
		o.Environment = Production
	}
	if o.StreamsMax == 0 {
		o.StreamsMax = StreamsMaxDefault
	}
	if o.ErrorsMax == 0 {
		o.ErrorsMax = ErrorsMaxDefault
	}
	if o.BurstWindow == 0 {
		o.BurstWindow = BurstWindowDefault
	}
	if o.Profile == "" {
		o.Profile = fault.Calm
	}
	if o.Profile != fault.Calm {
		o.RejectionDropsToOne = true
	}
	if o.Journal == nil {
		o.Journal = journal.New()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}
