package httpauth

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/binary"
	"slices"
)

// Attribute-value pairs of a challenge. MS-NLMP "AV_PAIR".
const (
	avEOL             = 0
	avChannelBindings = 10
)

// challengeHeader is the fixed part of a CHALLENGE message that is looked at,
// up to and including the field that points to the target info. MS-NLMP
// "CHALLENGE_MESSAGE".
const (
	challengeHeader = 48
	targetInfoField = 40
)

var ntlmSignature = []byte("NTLMSSP\x00")

// messageType returns the type of an NTLM message, 0 if it is none.
func messageType(msg []byte) uint32 {
	if len(msg) < 12 || !bytes.HasPrefix(msg, ntlmSignature) {
		return 0
	}
	return binary.LittleEndian.Uint32(msg[8:])
}

// certificateBinding is the value of the channel binding pair for a server's
// certificate; false if RFC 5929 defines none for its signature algorithm.
func certificateBinding(cert *x509.Certificate) ([16]byte, bool) {
	// RFC 5929 "tls-server-end-point": the hash of the certificate's signature,
	// but SHA-256 in place of MD5 and SHA-1.
	var hash []byte
	switch cert.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1,
		x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.ECDSAWithSHA256, x509.DSAWithSHA256:
		h := sha256.Sum256(cert.Raw)
		hash = h[:]
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		h := sha512.Sum384(cert.Raw)
		hash = h[:]
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		h := sha512.Sum512(cert.Raw)
		hash = h[:]
	default:
		return [16]byte{}, false
	}
	return channelBinding(append([]byte("tls-server-end-point:"), hash...)), true
}

// channelBinding is the MD5 of a gss_channel_bindings structure (RFC 2744,
// section 3.11) without addresses: four empty fields, then the application data
// with its length.
func channelBinding(application []byte) [16]byte {
	var b []byte
	b = append(b, make([]byte, 16)...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(application)))
	b = append(b, application...)
	return md5.Sum(b)
}

// bindChallenge returns the CHALLENGE message msg with the channel binding in its
// target info, from where the answer copies it. A message it does not
// understand, or one without target info, is left alone.
func bindChallenge(msg []byte, binding [16]byte) ([]byte, bool) {
	if messageType(msg) != 2 || len(msg) < challengeHeader {
		return nil, false
	}
	length := uint64(binary.LittleEndian.Uint16(msg[targetInfoField:]))
	offset := uint64(binary.LittleEndian.Uint32(msg[targetInfoField+4:]))
	if length == 0 || offset+length > uint64(len(msg)) {
		return nil, false
	}
	pairs, ok := withoutPair(msg[offset:offset+length], avChannelBindings)
	if !ok {
		return nil, false
	}
	pairs = binary.LittleEndian.AppendUint16(pairs, avChannelBindings)
	pairs = binary.LittleEndian.AppendUint16(pairs, uint16(len(binding)))
	pairs = append(pairs, binding[:]...)
	pairs = append(pairs, 0, 0, 0, 0) // avEOL
	if len(pairs) > 1<<16-1 {
		return nil, false
	}

	bound := append(slices.Clone(msg), pairs...)
	binary.LittleEndian.PutUint16(bound[targetInfoField:], uint16(len(pairs)))
	binary.LittleEndian.PutUint16(bound[targetInfoField+2:], uint16(len(pairs)))
	binary.LittleEndian.PutUint32(bound[targetInfoField+4:], uint32(len(msg)))
	return bound, true
}

// withoutPair copies the pairs of info up to the end marker, leaving out those
// with the given id; false if there is no proper end.
func withoutPair(info []byte, id uint16) ([]byte, bool) {
	var kept []byte
	for len(info) >= 4 {
		pair, length := binary.LittleEndian.Uint16(info), int(binary.LittleEndian.Uint16(info[2:]))
		if pair == avEOL {
			return kept, true
		}
		if 4+length > len(info) {
			return nil, false
		}
		if pair != id {
			kept = append(kept, info[:4+length]...)
		}
		info = info[4+length:]
	}
	return nil, false
}
