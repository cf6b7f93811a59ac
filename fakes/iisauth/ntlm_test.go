package iisauth

import (
	"bytes"
	"crypto/rc4"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"testing"
	"time"

	ntlmssp "github.com/Azure/go-ntlmssp"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The values of MS-NLMP, "NTLMv2 Authentication" of the examples: user User,
// domain Domain, password Password, server challenge 0123456789abcdef, client
// challenge eight times aa, time zero.
//
// Checklist auth 8.
func TestNTLMv2MatchesThePublishedExample(t *testing.T) {
	if got := ntHash("Password"); !bytes.Equal(got, unhex(t, "a4f49c406510bdcab6824ee7c30fd852")) {
		t.Errorf("ntHash %x", got)
	}
	if got := ntlmv2Hash("Password", "User", "Domain"); !bytes.Equal(got, unhex(t, "0c868a403bfd7a93a3001ef22ef02e3f")) {
		t.Errorf("v2 hash %x", got)
	}
	if got := ntlmv2Hash("Password", "user@domain.test", ""); !bytes.Equal(got, unhex(t, "20e534aed6f54ecbd037e1c8944ec848")) {
		t.Errorf("v2 hash of a UPN %x", got)
	}
	nonce := [8]byte{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}
	info := appendAVPair(nil, avNbDomainName, utf16le("Domain"))
	info = appendAVPair(info, avNbComputerName, utf16le("Server"))
	info = appendAVPair(info, avEOL, nil)
	response := append(unhex(t, "68cd0ab851e51c96aabc927bebef6a1c"), ntlmv2Blob(0, info)...)
	session, ok := verifyNTLMv2("Password", "User", "Domain", nonce, response)
	if !ok || !bytes.Equal(session, unhex(t, "8de40ccadbc14a82f15cb0ad0de95ca3")) {
		t.Errorf("session %x, %v", session, ok)
	}
	for i := range response {
		broken := bytes.Clone(response)
		broken[i] ^= 1
		if _, ok := verifyNTLMv2("Password", "User", "Domain", nonce, broken); ok {
			t.Fatalf("a response with byte %d changed verifies", i)
		}
	}
}

// Checklist auth 12.
func TestChannelBindingMatchesItsVector(t *testing.T) {
	leaf := &x509.Certificate{Raw: []byte("fixture certificate DER"), SignatureAlgorithm: x509.ECDSAWithSHA256}
	if got := channelBinding(leaf); !bytes.Equal(got, unhex(t, "a728edf7261f18971943deea06d467d3")) {
		t.Errorf("channel binding %x", got)
	}
	leaf.SignatureAlgorithm = x509.SHA1WithRSA
	if got := channelBinding(leaf); !bytes.Equal(got, unhex(t, "a728edf7261f18971943deea06d467d3")) {
		t.Errorf("channel binding of a SHA-1 certificate %x: want that of SHA-256", got)
	}
	leaf.SignatureAlgorithm = x509.ECDSAWithSHA384
	if got := channelBinding(leaf); bytes.Equal(got, unhex(t, "a728edf7261f18971943deea06d467d3")) {
		t.Error("the hash of a SHA-384 certificate is SHA-256")
	}
}

// Checklist auth 6.
func TestChallengeEchoesOnlyWhatTheClientOffered(t *testing.T) {
	for name, c := range map[string]struct{ offered, want flags }{
		"go-ntlmssp": {0xa0888201, 0xa0888201 | flagTargetTypeDomain | flagTargetInfo | flagVersion},
		"curl":       {0x00088206 | flagUnicode, 0x00088205 | flagTargetTypeDomain | flagTargetInfo | flagVersion},
		"LM key":     {flagUnicode | flagNTLM | 1<<7, flagUnicode | flagNTLM | flagTargetTypeDomain | flagTargetInfo | flagVersion},
	} {
		type1 := make([]byte, 32)
		copy(type1, ntlmSignature)
		type1[8] = negotiateMessage
		binary.LittleEndian.PutUint32(type1[12:], uint32(c.offered))
		type2 := challengeFor(t, New(Options{}), type1)
		if got := flags(binary.LittleEndian.Uint32(type2[20:])); got != c.want {
			t.Errorf("%s: flags %08x, want %08x", name, uint32(got), uint32(c.want))
		}
	}
}

// Checklist auth 7.
func TestTargetInfoIsInTheOrderOfADomainMember(t *testing.T) {
	info := targetInfo(TargetInfoFull, Names{}.withDefaults(), time.Now())
	var order []uint16
	for len(info) >= 4 {
		order = append(order, binary.LittleEndian.Uint16(info))
		info = info[4+binary.LittleEndian.Uint16(info[2:]):]
	}
	want := []uint16{2, 1, 4, 3, 5, 7, 0}
	if len(order) != len(want) {
		t.Fatalf("pairs %v, want %v", order, want)
	}
	for i := range want {
		if order[i] != want[i] {
			t.Fatalf("pairs %v, want %v", order, want)
		}
	}
}

func TestFileTimeRoundTrips(t *testing.T) {
	for _, at := range []time.Time{time.Unix(0, 0), time.Date(2000, 1, 1, 0, 0, 0, 100, time.UTC), time.Date(2026, 11, 24, 3, 4, 5, 6700, time.UTC)} {
		if got := timeOfFileTime(fileTime(at)); !got.Equal(at) {
			t.Errorf("%v became %v", at, got)
		}
	}
}

// response builds a type 3 as a full Windows client does: with version and
// MIC, and with whatever pairs are asked for.
type response struct {
	user, domain, password string
	pairs                  []byte // before EOL, in addition to the challenge's
	mic                    bool   // compute one
	keyExchange            bool
	fileTime               uint64
	v1                     bool
}

func (r response) marshal(t *testing.T, type1, type2 []byte) []byte {
	t.Helper()
	infoLength := int(binary.LittleEndian.Uint16(type2[40:]))
	infoOffset := int(binary.LittleEndian.Uint32(type2[44:]))
	info := bytes.Clone(type2[infoOffset : infoOffset+infoLength])
	if len(info) >= 4 {
		info = info[:len(info)-4]
	}
	info = appendAVPair(append(info, r.pairs...), avEOL, nil)
	if r.fileTime == 0 {
		r.fileTime = fileTime(time.Now())
	}
	var nonce [8]byte
	copy(nonce[:], type2[24:])
	v2 := ntlmv2Hash(r.password, r.user, r.domain)
	blob := ntlmv2Blob(r.fileTime, info)
	proof := hmacMD5(v2, nonce[:], blob)
	nt := append(bytes.Clone(proof), blob...)
	if r.v1 {
		nt = make([]byte, 24)
	}
	key, exchanged := hmacMD5(v2, proof), []byte(nil)
	f := flags(binary.LittleEndian.Uint32(type2[20:])) | flagUnicode
	if r.keyExchange {
		f |= flagKeyExchange | flagSign
		random := []byte("0123456789abcdef")
		cipher, err := rc4.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		exchanged = make([]byte, 16)
		cipher.XORKeyStream(exchanged, random)
		key = random
	}
	const header = micOffset + micBytes
	m := make([]byte, header)
	copy(m, ntlmSignature)
	m[8] = authenticateMessage
	for i, field := range [][]byte{make([]byte, 24), nt, utf16le(r.domain), utf16le(r.user), utf16le("DESKTOP"), exchanged} {
		putField(m[12+8*i:], len(m), len(field))
		m = append(m, field...)
	}
	binary.LittleEndian.PutUint32(m[60:], uint32(f))
	if r.mic {
		copy(m[micOffset:], hmacMD5(key, type1, type2, m))
	}
	return m
}

// ntlmv2Blob is the client's part of an NTLMv2 response, with the client
// challenge of the published example.
func ntlmv2Blob(at uint64, info []byte) []byte {
	b := []byte{1, 1, 0, 0, 0, 0, 0, 0}
	b = binary.LittleEndian.AppendUint64(b, at)
	b = append(b, bytes.Repeat([]byte{0xaa}, 8)...)
	b = append(b, 0, 0, 0, 0)
	b = append(b, info...)
	return append(b, 0, 0, 0, 0)
}

func negotiate(t *testing.T) []byte {
	t.Helper()
	type1, err := ntlmssp.NewNegotiateMessage("", "")
	if err != nil {
		t.Fatal(err)
	}
	return type1
}

func FuzzMessages(f *testing.F) {
	f.Add([]byte(ntlmSignature))
	f.Add(append([]byte(ntlmSignature), make([]byte, 80)...))
	site := New(Options{})
	type1, err := ntlmssp.NewNegotiateMessage("", "")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(type1)
	c := challenge{flags: flagUnicode | flagTargetInfo, targetInfo: targetInfo(TargetInfoFull, site.options.Names, time.Unix(0, 0))}
	type3, err := ntlmssp.NewAuthenticateMessage(c.marshal(), `LAB\alice`, "secret", nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(type3)
	f.Fuzz(func(t *testing.T, m []byte) {
		_, _ = messageType(m)
		_, _ = parseNegotiate(m)
		a, err := parseAuthenticate(m)
		if err != nil {
			return
		}
		if session, ok := verifyNTLMv2("secret", a.user, a.domain, c.nonce, a.ntResponse); ok {
			pairs, _ := clientPairs(a.ntResponse)
			_ = pairs.promisesMIC()
			_ = verifyMIC(exportedSessionKey(session, a), nil, nil, m)
		}
	})
}
