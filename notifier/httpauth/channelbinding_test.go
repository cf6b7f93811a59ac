package httpauth

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/Azure/go-ntlmssp"
)

// The pair's value is MD5 over a gss_channel_bindings structure (RFC 2744,
// RFC 5929), computed by hand for a "certificate" of 23 bytes.
func TestTheBindingOfAKnownCertificate(t *testing.T) {
	const want = "a728edf7261f18971943deea06d467d3"
	cert := &x509.Certificate{Raw: []byte("fixture certificate DER"), SignatureAlgorithm: x509.SHA256WithRSA}
	for _, algorithm := range []x509.SignatureAlgorithm{
		x509.SHA256WithRSA, x509.ECDSAWithSHA256, x509.SHA256WithRSAPSS, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.MD5WithRSA,
	} {
		cert.SignatureAlgorithm = algorithm
		got, ok := certificateBinding(cert)
		if !ok || hex.EncodeToString(got[:]) != want {
			t.Errorf("%v: %x, %v; want %s", algorithm, got, ok, want)
		}
	}
	cert.SignatureAlgorithm = x509.SHA384WithRSA
	if got, ok := certificateBinding(cert); !ok || hex.EncodeToString(got[:]) == want {
		t.Error("SHA-384 gives the binding of SHA-256")
	}
	cert.SignatureAlgorithm = x509.PureEd25519
	if _, ok := certificateBinding(cert); ok {
		t.Error("RFC 5929 defines no binding for Ed25519")
	}
	hash := sha256.Sum256(cert.Raw)
	if n := len(append([]byte("tls-server-end-point:"), hash[:]...)); n != 53 {
		t.Errorf("application data of %d bytes, want 53", n)
	}
}

func sampleChallenge() []byte {
	type1, _ := ntlmssp.NewNegotiateMessage("", "")
	return newNTLMServer(nil).type2(type1, []byte("12345678"))
}

func TestABoundChallengeKeepsEverythingElse(t *testing.T) {
	msg := sampleChallenge()
	binding := [16]byte{1, 2, 3}
	bound, ok := bindChallenge(msg, binding)
	if !ok {
		t.Fatal("a proper challenge was left alone")
	}
	if !bytes.Equal(bound[:targetInfoField], msg[:targetInfoField]) || !bytes.Equal(bound[48:len(msg)], msg[48:]) {
		t.Error("something but the target info changed")
	}
	info, err := fieldAt(bound, targetInfoField)
	if err != nil {
		t.Fatal(err)
	}
	if got := pairOf(info, 10); !bytes.Equal(got, binding[:]) {
		t.Errorf("pair 10 is %x", got)
	}
	old, _ := fieldAt(msg, targetInfoField)
	for _, id := range []uint16{1, 2, 3, 4, 5, 7} {
		if !bytes.Equal(pairOf(info, id), pairOf(old, id)) {
			t.Errorf("pair %d changed", id)
		}
	}
	if !bytes.HasSuffix(info, []byte{0, 0, 0, 0}) {
		t.Error("no end marker")
	}
	again, ok := bindChallenge(bound, [16]byte{9})
	info, _ = fieldAt(again, targetInfoField)
	if !ok || bytes.Count(info, pair(10, nil)[:2]) == 0 || pairOf(info, 10)[0] != 9 {
		t.Error("an earlier binding was not replaced")
	}
}

func TestAChallengeThatIsNotUnderstoodIsLeftAlone(t *testing.T) {
	proper := sampleChallenge()
	edit := func(f func([]byte)) []byte { b := bytes.Clone(proper); f(b); return b }
	for name, msg := range map[string][]byte{
		"empty":             nil,
		"short":             proper[:40],
		"no NTLM":           edit(func(b []byte) { b[0] = 'X' }),
		"another type":      edit(func(b []byte) { b[8] = 1 }),
		"no target info":    edit(func(b []byte) { binary.LittleEndian.PutUint16(b[40:], 0) }),
		"field outside":     edit(func(b []byte) { binary.LittleEndian.PutUint32(b[44:], 1<<20) }),
		"field overflows":   edit(func(b []byte) { binary.LittleEndian.PutUint32(b[44:], 1<<32-1) }),
		"pairs without end": edit(func(b []byte) { binary.LittleEndian.PutUint16(b[40:], binary.LittleEndian.Uint16(b[40:])-4) }),
	} {
		if _, ok := bindChallenge(msg, [16]byte{1}); ok {
			t.Errorf("%s: rewritten", name)
		}
	}
}

func FuzzBindChallenge(f *testing.F) {
	f.Add(sampleChallenge())
	f.Fuzz(func(t *testing.T, msg []byte) {
		bound, ok := bindChallenge(msg, [16]byte{42})
		if !ok {
			return
		}
		info, err := fieldAt(bound, targetInfoField)
		if err != nil {
			t.Fatal(err)
		}
		if got := pairOf(info, 10); len(got) != 16 || got[0] != 42 {
			t.Fatalf("pair 10 is %x", got)
		}
		if _, err := ntlmssp.NewAuthenticateMessage(msg, "u", "p", nil); err != nil {
			return // the client could not have read it before either
		}
		if _, err := ntlmssp.NewAuthenticateMessage(bound, "u", "p", nil); err != nil {
			t.Fatalf("the client cannot read the bound challenge: %v", err)
		}
	})
}
