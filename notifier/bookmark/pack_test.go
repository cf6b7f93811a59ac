package bookmark

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"mailbell/notifier"

	"github.com/klauspost/compress/s2"
)

// dozen is the bookmark of a mailbox with a dozen mails since the floor. The IDs
// are alike as those of one Inbox are: they begin with the mailbox and the folder.
func dozen() notifier.Bookmark {
	b := notifier.Bookmark{Mailbox: "ada@contoso.test", Floor: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)}
	for n := range 12 {
		b.Seen = append(b.Seen, notifier.SeenItem{
			Item:     notifier.ItemID(fmt.Sprintf("%s%012dAAA=", strings.Repeat("AAMkADhkMjY0ZDk5LTZjN2ItNDBk", 5)[:136], n*n*7919)),
			Received: b.Floor.Add(time.Duration(n) * 17 * time.Minute),
		})
	}
	return b
}

func TestAStoredBookmarkIsSmallBecauseIDsAreAlike(t *testing.T) {
	b := dozen()
	stored, err := pack(b)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(stored) > len(plain)/3 {
		t.Errorf("%d bytes of %d", len(stored), len(plain))
	}
	for name, content := range map[string][]byte{"as it is written": stored, "as earlier versions wrote it": plain} {
		if got, err := unpack(content); err != nil || !reflect.DeepEqual(got, b) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestWhatIsNoBookmarkIsRefused(t *testing.T) {
	stored, err := pack(dozen())
	if err != nil {
		t.Fatal(err)
	}
	huge := s2.Encode(nil, bytes.Repeat([]byte(" "), unpackedMax+1))
	for name, content := range map[string][]byte{
		"nothing": nil, "only the byte": {packed}, "cut short": stored[:len(stored)-3], "no JSON": append([]byte{packed}, s2.Encode(nil, []byte("hello"))...),
		"too long": append([]byte{packed}, huge...),
	} {
		if _, err := unpack(content); !errors.Is(err, errNotOne) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
