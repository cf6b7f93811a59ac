// Package conformance keeps account of what the fakes prove. Each protocol has
// a checklist, a [Sheet] of numbered facts about the real servers; each fact
// is proved by specs in the tests of the fakes, or its fake says why it is not
// modelled. What comes in is the source of the tests and of the package
// comments; what goes out is fakes/CONFORMANCE.md, and complaints when the two
// do not fit together.
//
// # Markers
//
// A comment line in a test file under fakes or cmd/fakes says what a spec
// proves:
//
//	// Checklist ews 16, 17.
//	// Checklist auth 12 [2016+].
//	// Checklist push 33 in part: GOAWAY 7 only, REFUSED_STREAM is the default.
//
// It stands in the doc comment of a Test function, or on the lines directly
// above a row of a table or a t.Run; the spec is then named after the function
// and the first string of the row or call. A range (3-5) means all in it. The
// versions in brackets are those the fact is proved for, if not for all. A
// marker ends with a full stop and may run over several lines.
//
// A table that has the number and the name in each row is marked once, above
// its variable:
//
//	// Checklist ews: by row.
//
// The first field of its rows is the number, the first string the name; versions
// are those the row names as exchange.V2013, or with from: exchange.V2013 those
// since, else the ones the marker has in brackets ("by row [all].").
//
// What a fake does not model stands in its package comment, under the heading
// "Not modelled, by number", one paragraph of a preformatted list each:
//
//	push 13: because a second port is a second server.
//
// A fact that is proved in part may stand there as well, a fact that is proved
// may not.
//
// # The table
//
// go generate ./fakes/conformance writes CONFORMANCE.md. The tests of this
// package fail when it is stale, when a number is neither proved nor listed,
// and when a marker names a number that does not exist.
package conformance

//go:generate go test -run ^TestTheTableIsCurrent$ . -update
