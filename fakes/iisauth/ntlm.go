package iisauth

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"
)

// The messages of MS-NLMP, "NTLM Messages": NEGOTIATE (type 1), CHALLENGE
// (type 2), AUTHENTICATE (type 3). Integers are little-endian; a string field
// is length, allocated length and offset.

const ntlmSignature = "NTLMSSP\x00"

const (
	negotiateMessage    = 1
	challengeMessage    = 2
	authenticateMessage = 3
)

// Smallest messages, and where the payload of a type 3 may start: both the
// version and the MIC are optional in practice.
const (
	negotiateBytesMin    = 16
	authenticateBytesMin = 64
	micOffset            = 72
	micBytes             = 16
)

// flags are the negotiate flags.
type flags uint32

const (
	flagUnicode          flags = 1 << 0
	flagOEM              flags = 1 << 1
	flagRequestTarget    flags = 1 << 2
	flagSign             flags = 1 << 4
	flagSeal             flags = 1 << 5
	flagNTLM             flags = 1 << 9
	flagAlwaysSign       flags = 1 << 15
	flagTargetTypeDomain flags = 1 << 16
	flagExtendedSecurity flags = 1 << 19
	flagTargetInfo       flags = 1 << 23
	flagVersion          flags = 1 << 25
	flag128              flags = 1 << 29
	flagKeyExchange      flags = 1 << 30
	flag56               flags = 1 << 31
)

// flagsEchoed are those the server grants when the client asks for them.
const flagsEchoed = flagUnicode | flagOEM | flagRequestTarget | flagSign | flagSeal | flagNTLM |
	flagAlwaysSign | flagExtendedSecurity | flag128 | flagKeyExchange | flag56

var errMessage = errors.New("iisauth: malformed NTLM message")

// messageType reads signature and type.
func messageType(m []byte) (uint32, error) {
	if len(m) < 12 || string(m[:8]) != ntlmSignature {
		return 0, fmt.Errorf("%w: no signature", errMessage)
	}
	return binary.LittleEndian.Uint32(m[8:]), nil
}

// parseNegotiate reads the flags of a type 1; its other fields are of no use
// to a server.
func parseNegotiate(m []byte) (flags, error) {
	if len(m) < negotiateBytesMin {
		return 0, fmt.Errorf("%w: type 1 of %d bytes", errMessage, len(m))
	}
	return flags(binary.LittleEndian.Uint32(m[12:])), nil
}

// challenge is what goes into a type 2.
type challenge struct {
	flags      flags
	target     string
	nonce      [8]byte
	targetInfo []byte // encoded AV pairs; nil: none
}

// marshal writes a type 2. Version is that of Windows Server 2019, 10.0.17763.
func (c challenge) marshal() []byte {
	const header = 56
	name := encodeString(c.target, c.flags&flagUnicode != 0)
	m := make([]byte, header, header+len(name)+len(c.targetInfo))
	copy(m, ntlmSignature)
	binary.LittleEndian.PutUint32(m[8:], challengeMessage)
	putField(m[12:], header, len(name))
	binary.LittleEndian.PutUint32(m[20:], uint32(c.flags))
	copy(m[24:], c.nonce[:])
	if c.targetInfo != nil {
		putField(m[40:], header+len(name), len(c.targetInfo))
	}
	copy(m[48:], []byte{10, 0, 0x63, 0x45, 0, 0, 0, 15})
	m = append(m, name...)
	return append(m, c.targetInfo...)
}

func putField(b []byte, offset, length int) {
	binary.LittleEndian.PutUint16(b, uint16(length))
	binary.LittleEndian.PutUint16(b[2:], uint16(length))
	binary.LittleEndian.PutUint32(b[4:], uint32(offset))
}

// authenticate is a type 3 taken apart. Its slices alias the message.
type authenticate struct {
	ntResponse   []byte
	domain, user string
	sessionKey   []byte
	flags        flags
	payload      int // offset of the first payload byte
}

// parseAuthenticate reads a type 3. Every field is checked against the length
// of the message in 64-bit arithmetic.
func parseAuthenticate(m []byte) (authenticate, error) {
	if len(m) < authenticateBytesMin {
		return authenticate{}, fmt.Errorf("%w: type 3 of %d bytes", errMessage, len(m))
	}
	a := authenticate{flags: flags(binary.LittleEndian.Uint32(m[60:])), payload: len(m)}
	var fields [6][]byte // LM response, NT response, domain, user, workstation, session key
	for i := range fields {
		header := m[12+8*i:]
		length := int64(binary.LittleEndian.Uint16(header))
		offset := int64(binary.LittleEndian.Uint32(header[4:]))
		if length == 0 {
			continue
		}
		if offset < authenticateBytesMin || offset+length > int64(len(m)) {
			return authenticate{}, fmt.Errorf("%w: type 3 field %d lies outside", errMessage, i)
		}
		fields[i] = m[offset : offset+length]
		a.payload = min(a.payload, int(offset))
	}
	a.ntResponse, a.sessionKey = fields[1], fields[5]
	unicode := a.flags&flagUnicode != 0
	var err error
	if a.domain, err = decodeString(fields[2], unicode); err != nil {
		return authenticate{}, err
	}
	if a.user, err = decodeString(fields[3], unicode); err != nil {
		return authenticate{}, err
	}
	return a, nil
}

// encodeString writes UTF-16LE, or the bytes as they are for an OEM client.
func encodeString(s string, unicode bool) []byte {
	if !unicode {
		return []byte(s)
	}
	return utf16le(s)
}

func decodeString(b []byte, unicode bool) (string, error) {
	if !unicode {
		return string(b), nil
	}
	if len(b)%2 != 0 {
		return "", fmt.Errorf("%w: UTF-16 of %d bytes", errMessage, len(b))
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units)), nil
}

func utf16le(s string) []byte {
	units := utf16.Encode([]rune(s))
	b := make([]byte, 2*len(units))
	for i, u := range units {
		binary.LittleEndian.PutUint16(b[2*i:], u)
	}
	return b
}
