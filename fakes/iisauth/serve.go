package iisauth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"mailbell/fakes/fault"
	"mailbell/fakes/journal"
)

// attempt is one request on its way through the site.
type attempt struct {
	site  *Site
	w     http.ResponseWriter
	r     *http.Request
	conn  *connState
	word  string // scheme word as the client wrote it
	token string // what followed it
}

func (s *Site) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	conn, ok := r.Context().Value(connKey).(*connState)
	if !ok {
		http.Error(w, "iisauth: the connection is unknown: set http.Server.ConnContext to Site.ConnContext", http.StatusInternalServerError)
		return
	}
	if conn.begin(s.options.RequestsPerConn) {
		w.Header().Set("Connection", "close")
	}
	a := &attempt{site: s, w: w, r: r, conn: conn}
	a.word, a.token, _ = strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " ")
	a.token = strings.TrimSpace(a.token)
	id, ok := a.authenticate()
	if !ok {
		return
	}
	if f, strikes := s.strikes("iis.401", id.Account); strikes {
		conn.set(Identity{})
		a.refuse("fault", id.Account, "fault", f.Name, nil)
		return
	}
	w.Header().Set(IdentityHeader, id.Account)
	ctx := context.WithValue(context.WithValue(r.Context(), identityKey, id), siteKey, s)
	next.ServeHTTP(w, r.WithContext(ctx))
}

// authenticate finds out who asks. When it says no, the answer is written.
func (a *attempt) authenticate() (Identity, bool) {
	switch {
	case a.is(SchemeNTLM), a.is(SchemeNegotiate):
		return a.ntlm()
	case a.is(SchemeBasic) && a.site.offers(SchemeBasic):
		a.conn.current()
		return a.basic()
	case a.is(SchemeBearer) && a.site.offers(SchemeBearer):
		a.conn.current()
		return a.bearer()
	}
	if a.is(SchemeBasic) {
		a.violation("basic-unoffered")
	}
	if id, ok := a.conn.current(); ok {
		return id, true
	}
	if a.word == "" {
		return a.refuse("anonymous", "", "anonymous", "", nil)
	}
	return a.refuse("anonymous", "", "scheme-not-offered", "", nil)
}

func (a *attempt) is(scheme string) bool { return strings.EqualFold(a.word, scheme) }

// ntlm takes a step of the handshake under either scheme word.
func (a *attempt) ntlm() (Identity, bool) {
	if a.r.ProtoMajor >= 2 {
		a.record("ntlm", "", 0, "http2", "")
		panic(http.ErrAbortHandler)
	}
	if !a.site.offers(a.word) {
		a.conn.current()
		return a.refuse("ntlm", "", "scheme-not-offered", "", nil)
	}
	message, kind, err := decodeMessage(a.token)
	switch {
	case err != nil:
		a.conn.take()
		return a.refuse("ntlm", "", "malformed", "", nil)
	case kind == negotiateMessage:
		return a.type1(message)
	case kind == authenticateMessage:
		return a.type3(message)
	}
	a.conn.take()
	return a.refuse("ntlm", "", "unexpected-type", "", nil)
}

func decodeMessage(token string) (message []byte, kind uint32, err error) {
	if base64.StdEncoding.DecodedLen(len(token)) > MessageBytesMax {
		return nil, 0, fmt.Errorf("%w: longer than %d bytes", errMessage, MessageBytesMax)
	}
	if message, err = base64.StdEncoding.DecodeString(token); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errMessage, err)
	}
	kind, err = messageType(message)
	return message, kind, err
}

// type1 answers a NEGOTIATE with a CHALLENGE.
func (a *attempt) type1(message []byte) (Identity, bool) {
	const step = "ntlm-type1"
	s := a.site
	if f, strikes := s.strikes("iis.reset-type1", ""); strikes {
		a.record(step, "", 0, "reset", f.Name)
		a.conn.reset()
	}
	offered, err := parseNegotiate(message)
	if err != nil {
		a.conn.take()
		return a.refuse(step, "", "malformed", "", nil)
	}
	now := time.Now()
	c := challenge{
		flags:      offered&flagsEchoed | flagTargetTypeDomain | flagVersion,
		target:     s.options.Names.NetBIOSDomain,
		targetInfo: targetInfo(s.options.TargetInfo, s.options.Names, now),
	}
	if c.flags&flagUnicode != 0 {
		c.flags &^= flagOEM
	}
	if c.targetInfo != nil {
		c.flags |= flagTargetInfo
	}
	struck := ""
	if f, strikes := s.strikes("iis.key-exch", ""); strikes {
		c.flags |= flagKeyExchange
		struck = f.Name
	}
	_, _ = rand.Read(c.nonce[:]) // never fails
	answer := c.marshal()
	a.conn.await(&pending{since: now, nonce: c.nonce, fileTime: fileTime(now), type1: message, type2: answer})
	if f, strikes := s.strikes("iis.bad-challenge", ""); strikes {
		answer = []byte("not a message")
		struck = f.Name
	}
	if f, strikes := s.strikes("iis.close-challenge", ""); strikes {
		a.w.Header().Set("Connection", "close")
		struck = f.Name
	}
	a.record(step, "", http.StatusUnauthorized, "challenge", struck)
	a.w.Header().Set("WWW-Authenticate", a.word+" "+base64.StdEncoding.EncodeToString(answer))
	s.unauthorized(a.w, a.r)
	return Identity{}, false
}

// type3 judges an AUTHENTICATE.
func (a *attempt) type3(message []byte) (Identity, bool) {
	const step = "ntlm-type3"
	s := a.site
	given, spent := a.conn.take()
	m, err := parseAuthenticate(message)
	if err != nil {
		return a.refuse(step, "", "malformed", "", nil)
	}
	account, known := s.lookup(m.user, m.domain)
	if f, strikes := s.strikes("iis.reset-type3", account.User); strikes {
		a.record(step, account.User, 0, "reset", f.Name)
		a.conn.reset()
	}
	struck := ""
	if f, strikes := s.strikes("iis.stall-type3", account.User); strikes {
		struck = f.Name
		if !sleep(a.r.Context(), f.Duration("for", stallDefault)) {
			panic(http.ErrAbortHandler)
		}
	}
	reason := ""
	switch {
	case given == nil && spent:
		reason = "challenge-spent"
	case given == nil:
		reason = "handshake-split"
	case time.Since(given.since) > ChallengeAgeMax:
		reason = "challenge-expired"
	default:
		reason = a.judge(given, message, m, account, known)
	}
	if reason != "" {
		return a.refuse(step, account.User, reason, struck, nil)
	}
	id := Identity{Account: account.User, Scheme: a.scheme(), Impersonation: account.Impersonation}
	if !s.options.SingleRequest {
		a.conn.set(id)
	}
	a.record(step, account.User, http.StatusOK, "", struck)
	return id, true
}

// stallDefault is how long iis.stall-type3 waits without an argument.
const stallDefault = 5 * time.Second

// judge returns why a type 3 is refused, or "".
func (a *attempt) judge(given *pending, message []byte, m authenticate, account Account, known bool) string {
	switch {
	case m.user == "" && len(m.ntResponse) == 0:
		return "anonymous-ntlm"
	case !known:
		return "unknown-user"
	case len(m.ntResponse) < ntResponseBytesMin:
		return "not-ntlmv2"
	}
	if reason := a.site.barred(account); reason != "" {
		return reason
	}
	session, ok := verifyNTLMv2(account.Password, m.user, m.domain, given.nonce, m.ntResponse)
	if !ok {
		a.site.lockouts.wrong(account)
		return "wrong-password"
	}
	pairs, err := clientPairs(m.ntResponse)
	switch {
	case err != nil:
		return "malformed"
	case !a.site.timely(clientTime(m.ntResponse), given):
		return "timestamp"
	case pairs.promisesMIC() && m.payload < micOffset+micBytes:
		return "mic-missing"
	case pairs.promisesMIC() && !verifyMIC(exportedSessionKey(session, m), given.type1, given.type2, message):
		return "mic-wrong"
	case a.r.TLS != nil && !a.site.bindingAccepted(pairs):
		return "channel-binding"
	}
	a.site.lockouts.right(account)
	return ""
}

// timely judges the time of a response (MS-NLMP, "Server Receives an
// AUTHENTICATE_MESSAGE from the Client").
func (s *Site) timely(sent uint64, given *pending) bool {
	if s.options.TimestampEqual && s.options.TargetInfo == TargetInfoFull && sent != given.fileTime {
		return false
	}
	return time.Since(timeOfFileTime(sent)).Abs() <= s.options.TimestampAgeMax
}

// barred is why an account may not enter whatever its password, or "".
func (s *Site) barred(a Account) string {
	switch {
	case a.Disabled:
		return "disabled"
	case a.Locked, s.lockouts.locked(a):
		return "locked"
	case a.Expired:
		return "expired"
	}
	return ""
}

func (a *attempt) basic() (Identity, bool) {
	if a.r.TLS == nil {
		a.violation("basic-plain-http")
	}
	name, password, ok := a.r.BasicAuth()
	if !ok {
		return a.refuse("basic", "", "malformed", "", nil)
	}
	account, known := a.site.lookup(SplitUser(name))
	if !known {
		return a.refuse("basic", "", "unknown-user", "", nil)
	}
	if reason := a.site.barred(account); reason != "" {
		return a.refuse("basic", account.User, reason, "", nil)
	}
	if !samePassword(password, account.Password) {
		a.site.lockouts.wrong(account)
		return a.refuse("basic", account.User, "wrong-password", "", nil)
	}
	a.site.lockouts.right(account)
	return a.welcome("basic", Identity{Account: account.User, Scheme: SchemeBasic, Impersonation: account.Impersonation})
}

func (a *attempt) bearer() (Identity, bool) {
	if a.token == "" || a.site.options.Tokens == nil {
		return a.refuse("bearer", "", "no-token", "", &TokenError{Reason: "The token is missing or cannot be verified here."})
	}
	id, err := a.site.options.Tokens.VerifyToken(a.token)
	if err != nil {
		var bad *TokenError
		if !errors.As(err, &bad) {
			bad = &TokenError{Reason: "The token is invalid."}
		}
		return a.refuse("bearer", id.Account, "token", "", bad)
	}
	id.Scheme = SchemeBearer
	return a.welcome("bearer", id)
}

// welcome lets one request in; the first of an identity on its connection is
// recorded.
func (a *attempt) welcome(step string, id Identity) (Identity, bool) {
	if a.conn.first(id) {
		a.record(step, id.Account, http.StatusOK, "", "")
	}
	return id, true
}

// refuse answers 401 with what is on offer.
func (a *attempt) refuse(step, account, reason, struck string, bad *TokenError) (Identity, bool) {
	a.record(step, account, http.StatusUnauthorized, reason, struck)
	a.site.offer(a.w.Header(), a.r, bad)
	a.site.unauthorized(a.w, a.r)
	return Identity{}, false
}

func (a *attempt) record(step, account string, status int, reason, struck string) {
	a.site.options.Journal.Append(journal.Entry{
		Server: "iis", Kind: "auth", Account: account, Conn: a.conn.number,
		Operation: step, Status: status, Reason: reason, Fault: struck,
		Detail: map[string]string{"scheme": a.scheme(), "host": a.r.Host, "path": a.r.URL.Path},
	})
	a.site.options.Logger.LogAttrs(a.r.Context(), slog.LevelDebug, "authentication",
		slog.String("step", step), slog.Uint64("conn", a.conn.number), slog.Int("status", status), slog.String("reason", reason))
}

func (a *attempt) violation(reason string) {
	a.site.options.Journal.Append(journal.Entry{
		Server: "iis", Kind: "violation", Conn: a.conn.number, Reason: reason,
		Detail: map[string]string{"host": a.r.Host, "path": a.r.URL.Path},
	})
}

// scheme is the scheme word in its registered spelling, "" when it is none of
// ours: a client may have put anything there.
func (a *attempt) scheme() string {
	for _, known := range []string{SchemeNegotiate, SchemeNTLM, SchemeBasic, SchemeBearer} {
		if a.is(known) {
			return known
		}
	}
	return ""
}

func (s *Site) strikes(name, account string) (fault.Fault, bool) {
	return s.options.Faults.Strikes(name, fault.Scope{Server: s.options.Server, Account: account})
}

// sleep waits for d; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
