package apns

import "fmt"

// Action is what to do next with a push. The vocabulary is closed, and its
// zero value is not an action.
type Action uint8

// The actions.
const (
	// Delivered: Apple accepted the push. It is no proof that a device showed it.
	Delivered Action = iota + 1
	// Retry: send it again later, with the same ID and CollapseID.
	Retry
	// Drop: the push itself is wrong; it will never be accepted.
	Drop
	// Forget: the device token is dead for this topic. Keep a registration that
	// the app confirmed after Response.Timestamp.
	Forget
	// Pause: nothing is wrong with the push; the way to Apple is closed or our
	// identity is refused. Everything that goes through this client waits.
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
