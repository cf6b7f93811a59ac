package compose

import "strings"

// Kind is a sort of item that policy can treat apart from ordinary mail.
type Kind string

// The kinds.
const (
	Meetings    Kind = "meetings"      // requests, answers and cancellations
	Reports     Kind = "reports"       // delivery and read receipts, non-delivery reports
	OutOfOffice Kind = "out-of-office" // automatic replies
	ordinary    Kind = ""
)

// kindPrefixes are item classes and everything below them ("Item Types and
// Message Classes", Outlook reference).
var kindPrefixes = []struct {
	prefix string
	kind   Kind
}{
	{"ipm.schedule.meeting", Meetings},
	{"ipm.notification.meeting", Meetings},
	{"report", Reports},
	{"ipm.note.rules.ooftemplate", OutOfOffice},
	{"ipm.note.rules.externalooftemplate", OutOfOffice},
}

func (k Kind) known() bool { return k == Meetings || k == Reports || k == OutOfOffice }

// kindOf finds the kind of an item class. Classes are compared without case
// and by whole parts: IPM.Schedule.MeetingRoom is no meeting.
func kindOf(class string) Kind {
	class = strings.ToLower(class)
	for _, k := range kindPrefixes {
		rest, ok := strings.CutPrefix(class, k.prefix)
		if ok && (rest == "" || rest[0] == '.') {
			return k.kind
		}
	}
	return ordinary
}
