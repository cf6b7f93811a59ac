package conformance

// Sheet is the checklist of one protocol.
type Sheet struct {
	Name    string // as markers name it
	Title   string
	Letters string // what the letters of Number.Evidence mean; empty: there are none
	Numbers []Number
}

// Number is one fact of a sheet.
type Number struct {
	N        int
	Evidence string // by letters of the sheet
	Title    string
}

// Sheets are all sheets, in the order of the table.
func Sheets() []Sheet { return []Sheet{ews, autodiscover, auth, push, ours} }

// Complete are the sheets each number of which must be proved or listed. A
// sheet that is not here shows its other numbers as not marked.
var Complete = []string{"ews", "autodiscover", "auth", "push", "ours"}

const evidenceOfPush = "D documented, F seen in the field, M measured, C our choice, because nothing is known"

func (s Sheet) number(n int) (Number, bool) {
	for _, x := range s.Numbers {
		if x.N == n {
			return x, true
		}
	}
	return Number{}, false
}
