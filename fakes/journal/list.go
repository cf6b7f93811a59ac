package journal

import "slices"

// list is a queue of entries in pieces, so that neither growing nor dropping
// moves those that stay.
type list struct {
	pieces []*[pieceLen]Entry
	head   int // dropped from the first piece
	n      int
}

const pieceLen = 512

func (l *list) at(i int) *Entry {
	i += l.head
	return &l.pieces[i/pieceLen][i%pieceLen]
}

func (l *list) add(e Entry) {
	if l.head+l.n == len(l.pieces)*pieceLen {
		l.pieces = append(l.pieces, new([pieceLen]Entry))
	}
	l.n++
	*l.at(l.n - 1) = e
}

// drop forgets the oldest n, of at most those there are.
func (l *list) drop(n int) {
	for i := range n {
		*l.at(i) = Entry{}
	}
	l.head += n
	l.n -= n
	whole := l.head / pieceLen
	l.pieces = slices.Delete(l.pieces, 0, whole)
	l.head -= whole * pieceLen
}

// slice copies those from begin up to end.
func (l *list) slice(begin, end int) []Entry {
	out := make([]Entry, 0, end-begin)
	for begin < end {
		at := l.head + begin
		piece := l.pieces[at/pieceLen][at%pieceLen:]
		piece = piece[:min(len(piece), end-begin)]
		out = append(out, piece...)
		begin += len(piece)
	}
	return out
}
