// Package seal keeps what is stored unreadable to whoever holds the disk, a
// backup of it, or the message system it lies in.
//
// Content goes in as bytes with the name of the place it is stored at, and
// comes out as AES-256-GCM with a random nonce: unreadable without the key,
// and readable only at that place, because the name is authenticated with it.
// A value copied to another key or subject does not open there.
//
// Keys and subjects are visible to the storage. What they say is therefore not
// the mailbox or device but a name derived from it: the same value gives the
// same name under one key, and nobody without the key can tell the value or
// test a guess.
//
// One master key of 32 bytes gives everything by HKDF (RFC 5869). Places share
// keyCount content keys, so that their ciphers are made once, and the bound on
// random nonces (NIST SP 800-38D, "Constraints on the Number of Invocations":
// 2^32 under one key) is out of reach: 2^42 values are 1,000 a second for more
// than a century.
//
// Errors say what is wrong with the key or the value, never what is in it.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Sizes, in bytes.
const (
	KeyLen  = 32 // the master key: AES-256
	NameLen = 32 // characters of a name: 160 bits in base32

	headerLen  = 2 // version, key ID
	nonceLen   = 12
	tagLen     = 16
	Overhead   = headerLen + nonceLen + tagLen // what Seal adds to the content
	nameDigest = 20                            // bytes of the digest that make a name
)

// Versions of a sealed value.
const (
	versionPlace  = 1 // every place had its own key; opened still, not made any more
	versionShared = 2
)

// keyCount is how many content keys there are; a cipher has a kilobyte.
const keyCount = 1024

// The errors of Open and New.
var (
	ErrKeyLength = errors.New("seal: the key must have 32 bytes")
	ErrWrongKey  = errors.New("seal: written with another key")
	ErrCorrupt   = errors.New("seal: damaged, or moved from another place")
)

// Sealer seals, opens and names under one master key. It is safe for
// concurrent use.
type Sealer struct {
	shared  *macs // gives the content keys
	content *macs // gives the content key of each place, of versionPlace
	names   *macs // gives the names
	keyID   byte
	ciphers [keyCount]atomic.Pointer[cipher.AEAD] // as they are needed
}

// New makes a Sealer of a key of KeyLen bytes of good randomness. Any other
// length is ErrKeyLength. The key is not kept.
func New(key []byte) (*Sealer, error) {
	if len(key) != KeyLen {
		return nil, fmt.Errorf("%w: this one has %d", ErrKeyLength, len(key))
	}
	derive := func(purpose string, n int) ([]byte, error) {
		return hkdf.Key(sha256.New, key, nil, "mailbell seal v1: "+purpose, n)
	}
	content, err := derive("content", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	shared, err := derive("content, shared", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	names, err := derive("names", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	id, err := derive("key id", 1)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return &Sealer{shared: newMACs(shared), content: newMACs(content), names: newMACs(names), keyID: id[0]}, nil
}

// Name is the name that stands for a value in keys and subjects: NameLen
// characters of a-z and 2-7, the same for the same value under the same key.
func (s *Sealer) Name(value string) string {
	sum := s.names.of(value)
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:nameDigest]))
}

// Seal makes content unreadable for storage at the place named. Sealing twice
// gives different bytes.
func (s *Sealer) Seal(content []byte, place string) []byte {
	out := make([]byte, headerLen, Overhead+len(content))
	out[0], out[1] = versionShared, s.keyID
	return s.cipher(place).Seal(out, nil, content, append(out[:headerLen:headerLen], place...))
}

// Open gives back what Seal was given with the same place. It returns
// ErrWrongKey for a value of another key, and ErrCorrupt for a value that was
// changed, cut short, or sealed for another place. (A wrong key whose one-byte
// ID happens to be the same, one in 256, is told as ErrCorrupt.)
func (s *Sealer) Open(sealed []byte, place string) ([]byte, error) {
	switch {
	case len(sealed) < Overhead:
		return nil, fmt.Errorf("%w: %d bytes are too few", ErrCorrupt, len(sealed))
	case sealed[0] != versionShared && sealed[0] != versionPlace:
		return nil, fmt.Errorf("%w: unknown version %d", ErrCorrupt, sealed[0])
	case sealed[1] != s.keyID:
		return nil, ErrWrongKey
	}
	var c cipher.AEAD
	if sealed[0] == versionShared {
		c = s.cipher(place)
	} else {
		c = newCipher(s.content.of(place))
	}
	content, err := c.Open(nil, nil, sealed[headerLen:], append(sealed[:headerLen:headerLen], place...))
	if err != nil {
		return nil, ErrCorrupt
	}
	return content, nil
}

// cipher is the one of a place, and of the other places with its key.
func (s *Sealer) cipher(place string) cipher.AEAD {
	h := fnv.New32a()
	_, _ = io.WriteString(h, place) // never fails
	number := h.Sum32() % keyCount
	slot := &s.ciphers[number]
	if c := slot.Load(); c != nil {
		return *c
	}
	c := newCipher(s.shared.of(strconv.Itoa(int(number))))
	slot.Store(&c)
	return c
}

// newCipher makes a cipher. No step can fail: the key has the length of
// AES-256, and AES has the block size of GCM.
func newCipher(key [sha256.Size]byte) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("seal: " + err.Error())
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("seal: " + err.Error())
	}
	return gcm
}

// macs makes HMAC-SHA-256s under one key. Safe for concurrent use.
type macs struct{ idle sync.Pool }

func newMACs(key []byte) *macs {
	return &macs{sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

func (m *macs) of(value string) (sum [sha256.Size]byte) {
	h := m.idle.Get().(hash.Hash) // New makes nothing else
	h.Reset()
	_, _ = io.WriteString(h, value) // never fails
	h.Sum(sum[:0])
	m.idle.Put(h)
	return sum
}
