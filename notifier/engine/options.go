package engine

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	"mailbell/notifier/engine/embedded"
	"mailbell/notifier/ledger"
	"mailbell/notifier/queue"
	"mailbell/notifier/seal"
)

// SyncMode says when what was acknowledged is on the disk itself, and not only
// with the operating system. It applies to the embedded engine; an external
// one has its own setting.
type SyncMode uint8

const (
	// Interval: files are synchronised every two seconds (SyncEvery). Everything
	// acknowledged survives kill -9 and a crash of the process at any moment. Loss
	// of power or a crash of the operating system may take what was acknowledged
	// in the last SyncEvery: registrations are then repeated by the app when it
	// next confirms, bookmarks fall back, so that mails are compared and pushed
	// again with the same IDs, and a push may be lost whose bookmark was written
	// out before it.
	Interval SyncMode = iota
	// Always: files are synchronised before every acknowledgement. Everything
	// acknowledged survives loss of power too, as far as the disk keeps its word.
	// Each write costs a round trip to the disk.
	Always
)

// String is the mode as the configuration spells it.
func (m SyncMode) String() string {
	switch m {
	case Interval:
		return "interval"
	case Always:
		return "always"
	}
	return fmt.Sprintf("sync(%d)", uint8(m))
}

// Limits and defaults.
const (
	SyncEvery      = embedded.SyncEveryDefault
	DiskMaxDefault = embedded.DiskMaxDefault
	DiskMaxMin     = 64 << 20 // below, the shares of the stores become too small to work
	ReplicasMax    = 5        // of JetStream

	connectTimeout = 10 * time.Second
	requestTimeout = 10 * time.Second // of one request to the engine without a deadline of its own
	publishTimeout = 10 * time.Second // from a publish to its acknowledgement
	reconnectWait  = time.Second
)

// The shares of DiskMax. What is left is for the registrations and bookmarks,
// which are small, and for what the file store needs beside its content.
const (
	queueShare  = 2 // a half
	ledgerShare = 4 // a quarter
)

// Options describe an engine.
type Options struct {
	// Dir holds the files of the embedded engine. It is made when missing, and
	// belongs to one engine at a time. Required unless URL is set.
	Dir string
	// URL of an external NATS server with JetStream, or several separated by
	// commas: tls://nats1.contoso.test:4222. Without TLS only to this host.
	// "": embedded.
	URL string
	// TLS configures the connection to an external server. nil: the system's
	// authorities for a tls:// URL.
	TLS *tls.Config
	// Key encrypts what is stored: 32 bytes. The same for all processes that
	// share an engine, and for the life of what is stored. Required.
	Key []byte
	// Sync of the embedded engine; the zero value is Interval.
	Sync SyncMode
	// LedgerAge is how long receipts are kept. 0: ledger.AgeDefault.
	LedgerAge time.Duration
	// DedupeWindow is how long a push is recognised when it is put again. 0:
	// queue.DedupeWindowDefault.
	DedupeWindow time.Duration
	// AckWait is how long a push taken may stay unanswered. 0:
	// queue.AckWaitDefault.
	AckWait time.Duration
	// DiskMax bounds the files of the embedded engine, in bytes. 0:
	// DiskMaxDefault. Half of it is the queue's, a quarter the ledger's.
	DiskMax int64
	// Replicas of everything stored in an external cluster: 1, 3 or 5. 0: 1.
	Replicas int
	// Logger gets what the engine has to say. nil: discard.
	Logger *slog.Logger
}

// validate names the field and the fix.
func (o *Options) validate() error {
	if len(o.Key) == 0 {
		return fmt.Errorf("engine: Key is missing: give the %d random bytes that encrypt what is stored", seal.KeyLen)
	}
	if len(o.Key) != seal.KeyLen {
		return fmt.Errorf("engine: Key has %d bytes: it has to have %d", len(o.Key), seal.KeyLen)
	}
	switch {
	case o.URL == "" && o.Dir == "":
		return errors.New("engine: Dir is missing: name the directory for the embedded engine, or the URL of an external one")
	case o.URL != "" && o.Dir != "":
		return errors.New("engine: Dir and URL are both set: one engine is either embedded or external")
	case o.URL == "" && o.Replicas > 1:
		return errors.New("engine: Replicas needs an external cluster: leave it out, or set URL")
	case o.Replicas < 0 || o.Replicas > ReplicasMax || (o.Replicas > 0 && o.Replicas%2 == 0):
		return fmt.Errorf("engine: Replicas is %d: it has to be 1, 3 or 5", o.Replicas)
	case o.Sync > Always:
		return fmt.Errorf("engine: Sync is %v: it has to be Interval or Always", o.Sync)
	case o.DiskMax < 0 || (o.DiskMax > 0 && o.DiskMax < DiskMaxMin):
		return fmt.Errorf("engine: DiskMax is %d bytes: it has to be at least %d", o.DiskMax, DiskMaxMin)
	case o.LedgerAge < 0 || o.DedupeWindow < 0 || o.AckWait < 0:
		return errors.New("engine: LedgerAge, DedupeWindow and AckWait must not be negative")
	}
	return o.validateURL()
}

// validateURL refuses to send credentials and identifiers in the clear over a
// network. No error shows the URL, which may carry a password.
func (o *Options) validateURL() error {
	if o.URL == "" {
		return nil
	}
	for part := range strings.SplitSeq(o.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(part))
		if err != nil || u.Hostname() == "" {
			return errors.New("engine: URL is not one: want tls://host:port")
		}
		switch {
		case u.Scheme != "nats" && u.Scheme != "tls":
			return fmt.Errorf("engine: URL begins with %q: it has to be tls:// (or nats:// to this host)", u.Scheme)
		case u.Scheme == "nats" && o.TLS == nil && !loopback(u.Hostname()):
			return fmt.Errorf("engine: URL to %s is not encrypted: use tls://, or set TLS", u.Hostname())
		}
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

func (o *Options) setDefaults() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.LedgerAge == 0 {
		o.LedgerAge = ledger.AgeDefault
	}
	if o.DedupeWindow == 0 {
		o.DedupeWindow = queue.DedupeWindowDefault
	}
	if o.DiskMax == 0 {
		o.DiskMax = DiskMaxDefault
	}
	if o.Replicas == 0 {
		o.Replicas = 1
	}
}
