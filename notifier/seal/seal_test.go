package seal

import (
	"bytes"
	"crypto/cipher"
	"encoding/hex"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func key(fill byte) []byte { return bytes.Repeat([]byte{fill}, KeyLen) }

func newSealer(t testing.TB, fill byte) *Sealer {
	t.Helper()
	s, err := New(key(fill))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealedContentOpensAtItsPlace(t *testing.T) {
	s := newSealer(t, 1)
	for _, content := range []string{"", "x", strings.Repeat("Besprechung ", 1000)} {
		sealed := s.Seal([]byte(content), "pushes.apns.abc")
		if len(sealed) != len(content)+Overhead {
			t.Errorf("sealed %d bytes into %d, want %d", len(content), len(sealed), len(content)+Overhead)
		}
		// A single byte turns up among random ones by chance.
		if len(content) > 1 && bytes.Contains(sealed, []byte(content)) {
			t.Error("the content is readable in the sealed value")
		}
		got, err := s.Open(sealed, "pushes.apns.abc")
		if err != nil || string(got) != content {
			t.Errorf("Open = %q, %v", got, err)
		}
	}
}

func TestSealingTwiceGivesDifferentBytes(t *testing.T) {
	s := newSealer(t, 1)
	if bytes.Equal(s.Seal([]byte("same"), "p"), s.Seal([]byte("same"), "p")) {
		t.Error("two sealings are equal: the nonce repeats")
	}
}

func TestOpenNamesWhatIsWrong(t *testing.T) {
	s, other := newSealer(t, 1), newSealer(t, 2)
	if s.keyID == other.keyID {
		t.Fatal("choose keys with different IDs for this test")
	}
	const secret = "Kündigung"
	sealed := s.Seal([]byte(secret), "place")
	flipped := func(i int) []byte {
		b := bytes.Clone(sealed)
		b[i] ^= 1
		return b
	}
	sameID := bytes.Clone(other.Seal([]byte(secret), "place"))
	sameID[1] = s.keyID
	for _, c := range []struct {
		name  string
		value []byte
		place string
		want  error
	}{
		{"another place", sealed, "place2", ErrCorrupt},
		{"another key", other.Seal([]byte(secret), "place"), "place", ErrWrongKey},
		{"another key with the same ID", sameID, "place", ErrCorrupt},
		{"version changed", flipped(0), "place", ErrCorrupt},
		{"said to be of the version before", append([]byte{versionPlace}, sealed[1:]...), "place", ErrCorrupt},
		{"key ID changed", flipped(1), "place", ErrWrongKey},
		{"nonce changed", flipped(headerLen), "place", ErrCorrupt},
		{"content changed", flipped(headerLen + nonceLen), "place", ErrCorrupt},
		{"tag changed", flipped(len(sealed) - 1), "place", ErrCorrupt},
		{"cut short", sealed[:len(sealed)-1], "place", ErrCorrupt},
		{"nearly nothing", sealed[:3], "place", ErrCorrupt},
		{"nothing", nil, "place", ErrCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := s.Open(c.value, c.place)
			if got != nil || !errors.Is(err, c.want) {
				t.Errorf("Open = %q, %v; want %v", got, err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("the error tells the content: %v", err)
			}
		})
	}
}

// The value was made by the version that gave every place its own key.
func TestWhatTheVersionBeforeSealedOpens(t *testing.T) {
	sealed, err := hex.DecodeString("010018ba9d3a75618c62d6336d328f82500b1b149584fb3a2dc93ee2521d1b68d9c4335298f97a8577")
	if err != nil {
		t.Fatal(err)
	}
	s := newSealer(t, 1)
	if got, err := s.Open(sealed, "pushes.apns.abc"); err != nil || string(got) != "Besprechung" {
		t.Errorf("Open = %q, %v", got, err)
	}
	if got, err := s.Open(sealed, "pushes.apns.abd"); got != nil || !errors.Is(err, ErrCorrupt) {
		t.Errorf("at another place: Open = %q, %v; want ErrCorrupt", got, err)
	}
}

func TestPlacesThatShareAKeyStayApart(t *testing.T) {
	s := newSealer(t, 1)
	seen := map[cipher.AEAD]string{}
	for i := range 2 * keyCount {
		place := "pushes.apns." + strconv.Itoa(i)
		c := s.cipher(place)
		if other, ok := seen[c]; ok {
			if _, err := s.Open(s.Seal([]byte("x"), other), place); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%q opens what was sealed for %q: %v", place, other, err)
			}
			return
		}
		seen[c] = place
	}
	t.Fatal("no two places share a key")
}

func TestKeyOfAnotherLengthIsRefused(t *testing.T) {
	for _, n := range []int{0, 16, 31, 33, 64} {
		if _, err := New(make([]byte, n)); !errors.Is(err, ErrKeyLength) {
			t.Errorf("New with %d bytes: %v, want ErrKeyLength", n, err)
		}
	}
}

func TestNamesAreStableDistinctAndFitForSubjects(t *testing.T) {
	s, again, other := newSealer(t, 1), newSealer(t, 1), newSealer(t, 2)
	form := regexp.MustCompile(`^[a-z2-7]{32}$`)
	seen := map[string]string{}
	for _, value := range []string{"", "ada@contoso.test", "ada@contoso.test ", "phone-1", "phone.1"} {
		name := s.Name(value)
		if !form.MatchString(name) || len(name) != NameLen {
			t.Errorf("Name(%q) = %q", value, name)
		}
		if was, ok := seen[name]; ok {
			t.Errorf("%q and %q have the same name", was, value)
		}
		seen[name] = value
		if again.Name(value) != name {
			t.Errorf("another Sealer of the same key names %q otherwise", value)
		}
		if other.Name(value) == name {
			t.Errorf("the name of %q does not depend on the key", value)
		}
	}
}

func TestVerifyTellsTheKeyApart(t *testing.T) {
	s := newSealer(t, 1)
	check := s.Check()
	if err := newSealer(t, 1).Verify(check); err != nil {
		t.Errorf("same key: %v", err)
	}
	for fill := byte(2); fill < 200; fill++ {
		if err := newSealer(t, fill).Verify(check); !errors.Is(err, ErrWrongKey) {
			t.Fatalf("key %d: %v, want ErrWrongKey", fill, err)
		}
	}
	if err := s.Verify(nil); !errors.Is(err, ErrWrongKey) {
		t.Errorf("no value: %v, want ErrWrongKey", err)
	}
}

func FuzzOpenNeverPanics(f *testing.F) {
	s := newSealer(f, 1)
	f.Add(s.Seal([]byte("content"), "place"))
	f.Add([]byte{versionShared, s.keyID})
	f.Add(append([]byte{versionPlace, s.keyID}, make([]byte, Overhead)...))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, value []byte) {
		content, err := s.Open(value, "elsewhere")
		if err == nil {
			t.Fatalf("opened %d bytes nobody sealed: %q", len(value), content)
		}
	})
}

func BenchmarkSealAndOpenOnePush(b *testing.B) {
	s := newSealer(b, 1)
	content := make([]byte, 1500)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Open(s.Seal(content, "pushes.apns.x"), "pushes.apns.x"); err != nil {
			b.Fatal(err)
		}
	}
}
