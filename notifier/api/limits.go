package api

import (
	"fmt"
	"time"

	"mailbell/notifier/ledger"
)

// Limits bound what clients may ask. 0 in a field means the default.
type Limits struct {
	BodyBytesMax         int64   // of a request; 0: 16 KiB
	DevicesPerMailboxMax int     // 0: 20
	RatePerSecond        float64 // requests of one credential subject, on the average; 0: 2
	RateBurst            int     // and at once; 0: 60
	SubjectsMax          int     // subjects whose rate is remembered; 0: 20,000
}

// Defaults of Limits.
const (
	BodyBytesMaxDefault         = 16 << 10
	DevicesPerMailboxMaxDefault = 20
	RatePerSecondDefault        = 2
	RateBurstDefault            = 60
	SubjectsMaxDefault          = 20_000
)

const (
	// notificationsDefault and notificationsMax bound one answer about what
	// became of mails.
	notificationsDefault = 50
	notificationsMax     = ledger.ReadMax

	// tokenDigitsMin and tokenDigitsMax bound an APNs token in hex digits. Apple
	// promises no length (Apple "Sending notification requests to APNs"); tokens
	// in use have 64 to 160.
	tokenDigitsMin = 64
	tokenDigitsMax = 200
	// topicLenMax bounds a bundle ID in characters.
	topicLenMax = 155
	// appLenMax bounds the name of a WNS app in the configuration, in bytes.
	appLenMax = 64
	// localeLenMax bounds a language tag in bytes (RFC 5646 "Length
	// Considerations": 35 characters hold every tag in use).
	localeLenMax = 35
	// credentialLenMax bounds a credential in bytes.
	credentialLenMax = 8 << 10
	// credentialLeeway is how far the authority's clock may be off.
	credentialLeeway = 60 * time.Second

	// viewWait bounds how long an answer waits until the registry's view shows
	// what was just written; viewPollMin and viewPollMax are the looks in between.
	viewWait    = 2 * time.Second
	viewPollMin = 500 * time.Microsecond
	viewPollMax = 20 * time.Millisecond
	// removalTimeout bounds a removal that was begun: it goes on when the client
	// leaves.
	removalTimeout = 20 * time.Second
	// lockCount is the number of locks that keep writes about one device or
	// mailbox apart.
	lockCount = 256
)

func (l *Limits) validate() error {
	if l.BodyBytesMax < 0 || l.DevicesPerMailboxMax < 0 || l.RatePerSecond < 0 || l.RateBurst < 0 || l.SubjectsMax < 0 {
		return fmt.Errorf("api: Options.Limits: no field may be negative")
	}
	if l.BodyBytesMax == 0 {
		l.BodyBytesMax = BodyBytesMaxDefault
	}
	if l.DevicesPerMailboxMax == 0 {
		l.DevicesPerMailboxMax = DevicesPerMailboxMaxDefault
	}
	if l.RatePerSecond == 0 {
		l.RatePerSecond = RatePerSecondDefault
	}
	if l.RateBurst == 0 {
		l.RateBurst = RateBurstDefault
	}
	if l.SubjectsMax == 0 {
		l.SubjectsMax = SubjectsMaxDefault
	}
	return nil
}
