package wns

import "fmt"

// Action is what to do next with a notification. The vocabulary is closed, and
// its zero value is not an action.
type Action uint8

// The actions.
const (
	// Delivered: WNS took the notification. It is no proof that a device showed it.
	Delivered Action = iota + 1
	// Retry: send it again later, with the same tag; for a badge or tile send
	// the newest instead.
	Retry
	// Drop: this notification will never be shown.
	Drop
	// Forget: the channel is dead. Keep a registration whose channel is newer.
	Forget
	// Pause: nothing is wrong with the notification; the app is throttled or
	// refused, or WNS cannot be reached. Everything for this app waits.
	Pause
)

// String is the action in lower case.
func (a Action) String() string {
	switch a {
	case Delivered:
		return "delivered"
	case Retry:
		return "retry"
	case Drop:
		return "drop"
	case Forget:
		return "forget"
	case Pause:
		return "pause"
	}
	return fmt.Sprintf("action(%d)", uint8(a))
}
