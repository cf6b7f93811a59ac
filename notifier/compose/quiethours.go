package compose

import (
	"errors"
	"fmt"
	"time"
	_ "time/tzdata" // zones by name on hosts that have no zone files, as Windows
)

// QuietHours is a span of every day, by the clock of a place. From belongs to
// it, To does not. From after To spans midnight. The zero value never comes.
type QuietHours struct {
	From, To time.Duration  // since midnight, by the clock on the wall
	Zone     *time.Location // nil: UTC
}

const day = 24 * time.Hour

// ParseQuietHours reads "22:00", "07:00", "Asia/Tokyo". An empty zone is UTC.
func ParseQuietHours(from, to, zone string) (QuietHours, error) {
	var q QuietHours
	var err error
	if q.From, err = parseClock("from", from); err != nil {
		return QuietHours{}, err
	}
	if q.To, err = parseClock("to", to); err != nil {
		return QuietHours{}, err
	}
	if zone == "Local" {
		return QuietHours{}, errors.New("quiet hours: zone: name the zone, such as Asia/Tokyo; Local depends on the host")
	}
	if q.Zone, err = time.LoadLocation(zone); err != nil {
		return QuietHours{}, fmt.Errorf("quiet hours: zone %q: want an IANA name such as Asia/Tokyo", zone)
	}
	if q.From == q.To {
		return QuietHours{}, errors.New("quiet hours: from and to are equal; leave both out for none")
	}
	return q, nil
}

func parseClock(field, text string) (time.Duration, error) {
	t, err := time.Parse("15:04", text)
	if err != nil {
		return 0, fmt.Errorf("quiet hours: %s %q: want hh:mm", field, text)
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, nil
}

func (q QuietHours) validate() error {
	if q.From < 0 || q.From >= day || q.To < 0 || q.To >= day {
		return errors.New("quiet hours: from and to are times of day, 00:00 to 23:59")
	}
	return nil
}

// Contain says whether the time is in the quiet hours.
func (q QuietHours) Contain(t time.Time) bool {
	if q.From == q.To {
		return false
	}
	zone := q.Zone
	if zone == nil {
		zone = time.UTC
	}
	hour, minute, second := t.In(zone).Clock()
	clock := time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second
	if q.From < q.To {
		return clock >= q.From && clock < q.To
	}
	return clock >= q.From || clock < q.To
}
