package iisauth

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rc4"
	"encoding/binary"
	"strings"

	"golang.org/x/crypto/md4" //lint:ignore SA1019 NTLM is defined with MD4
)

// ntResponseBytesMin is the shortest NTLMv2 response: proof (16), header and
// time (16), client challenge (8), reserved (4). NTLMv1 has 24 bytes.
const ntResponseBytesMin = 44

// ntHash is NTOWFv1 (MS-NLMP, "NTLM v1 Authentication").
func ntHash(password string) []byte {
	h := md4.New()
	h.Write(utf16le(password))
	return h.Sum(nil)
}

// ntlmv2Hash is NTOWFv2 (MS-NLMP, "NTLM v2 Authentication"). User and domain
// are those of the type 3; only the user is put into upper case.
func ntlmv2Hash(password, user, domain string) []byte {
	return hmacMD5(ntHash(password), utf16le(strings.ToUpper(user)+domain))
}

// verifyNTLMv2 compares the proof of an NT response in constant time and
// returns the session base key.
func verifyNTLMv2(password, user, domain string, nonce [8]byte, ntResponse []byte) (session []byte, ok bool) {
	if len(ntResponse) < ntResponseBytesMin {
		return nil, false
	}
	v2 := ntlmv2Hash(password, user, domain)
	proof := hmacMD5(v2, nonce[:], ntResponse[16:])
	if !hmac.Equal(proof, ntResponse[:16]) {
		return nil, false
	}
	return hmacMD5(v2, proof), true
}

// clientTime and clientPairs read the blob of an NTLMv2 response
// (MS-NLMP, "NTLMv2_CLIENT_CHALLENGE"); its length has been checked.
func clientTime(ntResponse []byte) uint64 {
	return binary.LittleEndian.Uint64(ntResponse[24:])
}

func clientPairs(ntResponse []byte) (avPairs, error) {
	if len(ntResponse) == ntResponseBytesMin {
		return avPairs{}, nil // answered to a challenge without target info
	}
	return parseAVPairs(ntResponse[ntResponseBytesMin:])
}

// exportedSessionKey is the key that signs the MIC: the session base key, or
// what the client encrypted with it when a key exchange was negotiated.
func exportedSessionKey(session []byte, a authenticate) []byte {
	if a.flags&flagKeyExchange == 0 || a.flags&(flagSign|flagSeal) == 0 || len(a.sessionKey) != 16 {
		return session
	}
	cipher, err := rc4.NewCipher(session)
	if err != nil {
		return session // cannot be: the key has 16 bytes
	}
	key := make([]byte, 16)
	cipher.XORKeyStream(key, a.sessionKey)
	return key
}

// verifyMIC compares the code of a type 3 with that over all three messages
// (MS-NLMP, "Server Receives an AUTHENTICATE_MESSAGE from the Client").
func verifyMIC(key, type1, type2, type3 []byte) bool {
	if len(type3) < micOffset+micBytes {
		return false
	}
	zeroed := append([]byte(nil), type3...)
	clear(zeroed[micOffset : micOffset+micBytes])
	return hmac.Equal(hmacMD5(key, type1, type2, zeroed), type3[micOffset:micOffset+micBytes])
}

func hmacMD5(key []byte, parts ...[]byte) []byte {
	h := hmac.New(md5.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// samePassword compares in constant time, whatever the lengths.
func samePassword(a, b string) bool {
	return hmac.Equal(hmacMD5(nil, []byte(a)), hmacMD5(nil, []byte(b)))
}
