package httpauth

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf16"

	//lint:ignore SA1019 NTLM is built on MD4 (MS-NLMP, NTOWFv2)
	"golang.org/x/crypto/md4"
)

// ntlmServer is an HTTP server that authenticates connections by NTLMv2 as IIS
// does: the challenge lives on the connection, and so does the identity after it.
// It is written from MS-NLMP alone and shares nothing with the client.
type ntlmServer struct {
	*httptest.Server
	passwords map[string]string // by user name in lower case

	offers     []string                                // lines of WWW-Authenticate on a bare 401
	page       []byte                                  // body of a 401
	keyExch    bool                                    // sets KEY_EXCH unasked
	badType2   bool                                    // sends garbage as a challenge
	torn       bool                                    // closes the connection after the challenge
	needsBound bool                                    // refuses answers without channel binding
	onType3    func(w http.ResponseWriter, n int) bool // may answer in the server's stead; n counts from 1
	handler    http.HandlerFunc                        // for authenticated requests; nil: tells the user

	opened     atomic.Int32 // connections
	type3s     atomic.Int32 // answers to challenges seen
	wrong      atomic.Int32 // passwords refused
	handshakes atomic.Int32 // connections authenticated
	unbound    atomic.Int32 // answers without channel binding
	plain      atomic.Int32 // requests with a Basic header
	requests   atomic.Int32
}

const iisPageSize = 1293 // bytes of the page that plain IIS sends with a 401

type ntlmConn struct {
	mu        sync.Mutex
	challenge []byte
	user      string
}

type connKey struct{}

func newNTLMServer(passwords map[string]string) *ntlmServer {
	s := &ntlmServer{
		passwords: passwords,
		offers:    []string{"Negotiate", "NTLM"},
		page:      bytes.Repeat([]byte("x"), iisPageSize),
	}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		s.opened.Add(1)
		return context.WithValue(ctx, connKey{}, &ntlmConn{})
	}
	return s
}

func (s *ntlmServer) start(t *testing.T) *ntlmServer {
	t.Helper()
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *ntlmServer) startTLS(t *testing.T) *ntlmServer {
	t.Helper()
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *ntlmServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	_, _ = io.Copy(io.Discard, r.Body)
	conn := r.Context().Value(connKey{}).(*ntlmConn)
	conn.mu.Lock()
	defer conn.mu.Unlock()

	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if scheme == "Basic" {
		s.plain.Add(1)
		s.refuse(w)
		return
	}
	if !ok {
		if conn.user == "" {
			s.refuse(w)
			return
		}
		s.serve(w, r, conn.user)
		return
	}
	msg, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		s.refuse(w)
		return
	}
	switch messageType(msg) {
	case 1:
		conn.user, conn.challenge = "", make([]byte, 8)
		_, _ = rand.Read(conn.challenge)
		reply := base64.StdEncoding.EncodeToString(s.type2(msg, conn.challenge))
		if s.badType2 {
			reply = base64.StdEncoding.EncodeToString([]byte("NTLMSSP\x00\x02\x00\x00\x00"))
		}
		w.Header().Set("WWW-Authenticate", scheme+" "+reply)
		if s.torn {
			w.Header().Set("Connection", "close")
		}
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write(s.page)
	case 3:
		challenge := conn.challenge
		conn.challenge = nil
		if n := s.type3s.Add(1); s.onType3 != nil && s.onType3(w, int(n)) {
			return
		}
		user, ok := s.verify(msg, challenge, r.TLS)
		if !ok {
			s.wrong.Add(1)
			s.refuse(w)
			return
		}
		s.handshakes.Add(1)
		conn.user = user
		s.serve(w, r, user)
	default:
		s.refuse(w)
	}
}

func (s *ntlmServer) serve(w http.ResponseWriter, r *http.Request, user string) {
	w.Header().Set("X-User", user)
	if s.handler != nil {
		s.handler(w, r)
		return
	}
	_, _ = io.WriteString(w, "hello "+user)
}

func (s *ntlmServer) refuse(w http.ResponseWriter) {
	for _, line := range s.offers {
		w.Header().Add("WWW-Authenticate", line)
	}
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = w.Write(s.page)
}

const (
	flagUnicode    = 1 << 0
	flagTarget     = 1 << 2
	flagNTLM       = 1 << 9
	flagDomain     = 1 << 16
	flagTargetInfo = 1 << 23
	flagVersion    = 1 << 25
	flagKeyExch    = 1 << 30
)

func pair(id uint16, value []byte) []byte {
	b := binary.LittleEndian.AppendUint16(nil, id)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	return append(b, value...)
}

func utf16le(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

func fromUTF16(b []byte) string {
	var u []uint16
	for i := 0; i+1 < len(b); i += 2 {
		u = append(u, binary.LittleEndian.Uint16(b[i:]))
	}
	return string(utf16.Decode(u))
}

// type2 writes a CHALLENGE message.
func (s *ntlmServer) type2(type1, challenge []byte) []byte {
	flags := binary.LittleEndian.Uint32(type1[12:]) | flagTargetInfo | flagDomain | flagVersion
	if s.keyExch {
		flags |= flagKeyExch
	}
	name := utf16le("LAB")
	now := binary.LittleEndian.AppendUint64(nil, uint64(time.Now().UnixNano()/100)+116444736000000000)
	info := bytes.Join([][]byte{
		pair(2, utf16le("LAB")), pair(1, utf16le("EX01")), pair(4, utf16le("lab.test")),
		pair(3, utf16le("ex01.lab.test")), pair(5, utf16le("lab.test")), pair(7, now), pair(0, nil),
	}, nil)
	b := append([]byte("NTLMSSP\x00"), 2, 0, 0, 0)
	b = appendField(b, len(name), 56)
	b = binary.LittleEndian.AppendUint32(b, flags)
	b = append(b, challenge...)
	b = append(b, make([]byte, 8)...)
	b = appendField(b, len(info), 56+len(name))
	b = append(b, make([]byte, 8)...)
	b = append(b, name...)
	return append(b, info...)
}

func appendField(b []byte, length, offset int) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(length))
	b = binary.LittleEndian.AppendUint16(b, uint16(length))
	return binary.LittleEndian.AppendUint32(b, uint32(offset))
}

func fieldAt(msg []byte, at int) ([]byte, error) {
	length, offset := uint64(binary.LittleEndian.Uint16(msg[at:])), uint64(binary.LittleEndian.Uint32(msg[at+4:]))
	if offset+length > uint64(len(msg)) {
		return nil, errors.New("field outside the message")
	}
	return msg[offset : offset+length], nil
}

func hmacMD5(key []byte, parts ...[]byte) []byte {
	h := hmac.New(md5.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func ntHash(password string) []byte {
	h := md4.New()
	h.Write(utf16le(password))
	return h.Sum(nil)
}

func v2Key(user, domain, password string) []byte {
	return hmacMD5(ntHash(password), utf16le(strings.ToUpper(user)+domain))
}

// verify checks an AUTHENTICATE message against the connection's challenge.
func (s *ntlmServer) verify(msg, challenge []byte, state *tls.ConnectionState) (string, bool) {
	if challenge == nil || len(msg) < 64 {
		return "", false
	}
	nt, err1 := fieldAt(msg, 20)
	domain, err2 := fieldAt(msg, 28)
	user, err3 := fieldAt(msg, 36)
	if err := errors.Join(err1, err2, err3); err != nil || len(nt) < 44 {
		return "", false
	}
	name := strings.ToLower(fromUTF16(user))
	account, _, _ := strings.Cut(name, "@")
	password, ok := s.passwords[account]
	if !ok {
		return "", false
	}
	proof := hmacMD5(v2Key(fromUTF16(user), fromUTF16(domain), password), challenge, nt[16:])
	if !hmac.Equal(proof, nt[:16]) {
		return "", false
	}
	if state != nil {
		cert, err := x509.ParseCertificate(s.TLS.Certificates[0].Certificate[0])
		if err != nil {
			return "", false
		}
		got := pairOf(nt[44:], 10)
		want := expectedBinding(cert)
		switch {
		case got == nil:
			s.unbound.Add(1)
			if s.needsBound {
				return "", false
			}
		case !bytes.Equal(got, want):
			return "", false
		}
	} else if pairOf(nt[44:], 10) != nil {
		return "", false // nothing to bind to
	}
	return account, true
}

func pairOf(pairs []byte, id uint16) []byte {
	for len(pairs) >= 4 {
		got, n := binary.LittleEndian.Uint16(pairs), int(binary.LittleEndian.Uint16(pairs[2:]))
		if got == 0 || 4+n > len(pairs) {
			return nil
		}
		if got == id {
			return pairs[4 : 4+n]
		}
		pairs = pairs[4+n:]
	}
	return nil
}

// expectedBinding computes the pair the long way round.
func expectedBinding(cert *x509.Certificate) []byte {
	hash := map[x509.SignatureAlgorithm]string{
		x509.SHA256WithRSA: "SHA-256", x509.ECDSAWithSHA256: "SHA-256", x509.ECDSAWithSHA384: "SHA-384",
	}[cert.SignatureAlgorithm]
	data := []byte("tls-server-end-point:")
	data = append(data, sumOf(hash, cert.Raw)...)
	structure := make([]byte, 20)
	binary.LittleEndian.PutUint32(structure[16:], uint32(len(data)))
	sum := md5.Sum(append(structure, data...))
	return sum[:]
}
