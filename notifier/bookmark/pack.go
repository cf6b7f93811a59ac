package bookmark

import (
	"encoding/json"
	"errors"
	"fmt"

	"mailbell/notifier"

	"github.com/klauspost/compress/s2"
)

// A stored bookmark is JSON, compressed behind a byte that JSON cannot begin with.
// The IDs in it are long and alike but for their ends, and every mail has its
// mailbox's bookmark written anew. One without that byte is JSON as it is, as
// earlier versions wrote it.
const packed = 1

// unpackedMax bounds a bookmark that is read: more than notifier.BookmarkSeenMax
// items and notifier.BookmarkKnownMax with the longest IDs take.
const unpackedMax = 4 << 20

func pack(b notifier.Bookmark) ([]byte, error) {
	text, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("bookmark: %w", err)
	}
	out := make([]byte, 1+s2.MaxEncodedLen(len(text)))
	out[0] = packed
	return out[:1+len(s2.Encode(out[1:], text))], nil
}

var errNotOne = errors.New("bookmark: stored bookmark is not one")

func unpack(content []byte) (b notifier.Bookmark, err error) {
	if len(content) > 0 && content[0] == packed {
		content = content[1:]
		if n, err := s2.DecodedLen(content); err != nil || n > unpackedMax {
			return b, errNotOne
		}
		if content, err = s2.Decode(nil, content); err != nil {
			return b, errNotOne
		}
	}
	if json.Unmarshal(content, &b) != nil {
		return notifier.Bookmark{}, errNotOne
	}
	return b, nil
}
