package api

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"mailbell/notifier"
	"mailbell/notifier/ledger"
	"mailbell/notifier/registry"
	"mailbell/notifier/wns"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	token64 = strings.Repeat("AB", 32)
	channel = "https://db5p.notify.windows.com/?token=AwYAAABsecretsecret%2fsecret"
)

// desk is the service over stores in memory. It is used inside a synctest
// bubble.
type desk struct {
	t       *testing.T
	opt     Options
	handler http.Handler
	store   *brittle
	ledger  *ledger.Memory
	private map[string]crypto.Signer // by algorithm
	log     lockedBuffer
	stop    func()

	mu     sync.Mutex
	wiped  []notifier.DeviceID
	onWipe func(notifier.DeviceID) error
}

// brittle is a registry that fails, or takes its time, on request.
type brittle struct {
	*registry.Memory
	err  error
	slow time.Duration // of a Put
}

func (b *brittle) Put(ctx context.Context, r notifier.Registration) (uint64, error) {
	if b.err != nil {
		return 0, b.err
	}
	time.Sleep(b.slow)
	return b.Memory.Put(ctx, r)
}

func (b *brittle) Get(ctx context.Context, d notifier.DeviceID) (notifier.Registration, uint64, error) {
	if b.err != nil {
		return notifier.Registration{}, 0, b.err
	}
	return b.Memory.Get(ctx, d)
}

func (b *brittle) Delete(ctx context.Context, d notifier.DeviceID, revision uint64) error {
	if b.err != nil {
		return b.err
	}
	return b.Memory.Delete(ctx, d, revision)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// bubble runs a test in virtual time.
func bubble(t *testing.T, change func(*desk), story func(*desk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, change)
		defer d.stop()
		story(d)
	})
}

func newDesk(t *testing.T, change func(*desk)) *desk {
	t.Helper()
	d := &desk{t: t, store: &brittle{Memory: registry.NewMemory()}, ledger: ledger.NewMemory(), private: map[string]crypto.Signer{}}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d.private["EdDSA"], d.private["ES256"] = ed, ec
	d.opt = Options{
		Registry: d.store, View: registry.NewView(d.store, nil), Ledger: d.ledger,
		Keys:     []TrustedKey{{ID: "ed", Public: ed.Public()}, {Public: ec.Public()}},
		Approved: func(m notifier.Mailbox) bool { return m.Domain() == "contoso.test" }, CheckChannel: wns.CheckChannel,
		Wiped: func(_ context.Context, id notifier.DeviceID) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.wiped = append(d.wiped, id)
			if d.onWipe != nil {
				return d.onWipe(id)
			}
			return nil
		},
		Logger: slog.New(slog.NewTextHandler(&d.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(d)
	}
	a, err := New(d.opt)
	if err != nil {
		t.Fatal(err)
	}
	d.handler = a.Handler()

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = d.opt.View.Run(ctx)
	}()
	<-d.opt.View.Synced()
	d.stop = func() {
		cancel()
		<-done
	}
	return d
}

// credential signs claims; change may spoil them.
func (d *desk) credential(change func(jwt.MapClaims)) string {
	return d.signed("EdDSA", nil, change)
}

func (d *desk) signed(alg string, header map[string]any, change func(jwt.MapClaims)) string {
	d.t.Helper()
	now := time.Now()
	c := jwt.MapClaims{
		"iss": "authority", "aud": "mailbell", "sub": "phone", "mailbox": "ada@contoso.test", "scope": "device",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	if change != nil {
		change(c)
	}
	token := jwt.NewWithClaims(jwt.GetSigningMethod(alg), c)
	for k, v := range header {
		token.Header[k] = v
	}
	text, err := token.SignedString(d.private[alg])
	if err != nil {
		d.t.Fatal(err)
	}
	return text
}

func (d *desk) deviceOf(id, mailbox string) string {
	return d.credential(func(c jwt.MapClaims) { c["sub"], c["mailbox"] = id, mailbox })
}

func (d *desk) admin() string {
	return d.credential(func(c jwt.MapClaims) {
		c["sub"], c["scope"] = "administrator", "admin"
		delete(c, "mailbox")
	})
}

// answerOf is an answer that was read.
type answerOf struct {
	status  int
	header  http.Header
	body    []byte
	problem problem
	reg     answer
}

// do sends a request. A body that is no string is sent as JSON.
func (d *desk) do(method, path, credential string, body any, headers ...string) answerOf {
	d.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			d.t.Fatal(err)
		}
		reader = bytes.NewReader(text)
	}
	r := httptest.NewRequest(method, path, reader)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if credential != "" {
		r.Header.Set("Authorization", "Bearer "+credential)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	a := answerOf{status: w.Code, header: w.Header(), body: w.Body.Bytes()}
	d.checkAnswer(&a)
	return a
}

// checkAnswer looks at what holds for every answer.
func (d *desk) checkAnswer(a *answerOf) {
	d.t.Helper()
	if strings.Contains(strings.ToLower(string(a.body)), strings.ToLower(token64)) || bytes.Contains(a.body, []byte("AwYAAAB")) {
		d.t.Errorf("the answer tells a push address: %s", a.body)
	}
	kind := a.header.Get("Content-Type")
	switch {
	case a.status == http.StatusNoContent:
		if len(a.body) != 0 {
			d.t.Errorf("204 with a body: %s", a.body)
		}
	case a.status >= 400:
		if err := json.Unmarshal(a.body, &a.problem); err != nil || kind != "application/problem+json" {
			d.t.Fatalf("%d %s is no problem document: %s", a.status, kind, a.body)
		}
		p := a.problem
		if p.Status != a.status || p.Title == "" || !strings.HasPrefix(p.Type, problemType) || p.Detail == "" {
			d.t.Errorf("problem %+v of status %d", p, a.status)
		}
	case kind != "application/json":
		d.t.Errorf("%d with Content-Type %q", a.status, kind)
	default:
		_ = json.Unmarshal(a.body, &a.reg)
	}
}

type members = map[string]any

func iphone() members {
	return members{"platform": "ios", "mailbox": "ada@contoso.test", "locale": "ja-JP", "apns": members{"token": token64, "topic": "test.contoso.mail", "environment": "production"}}
}

func windows() members {
	return members{"platform": "windows", "mailbox": "ada@contoso.test", "locale": "de", "wns": members{"channel": channel, "badge": true}}
}

// register puts a device in place.
func (d *desk) register(id, mailbox string) answerOf {
	d.t.Helper()
	body := iphone()
	body["mailbox"] = mailbox
	return d.do("PUT", "/v1/devices/"+id, d.deviceOf(id, mailbox), body)
}

func (d *desk) registration(id notifier.DeviceID) (notifier.Registration, bool) {
	d.t.Helper()
	r, _, err := d.store.Memory.Get(context.Background(), id)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		d.t.Fatal(err)
	}
	return r, err == nil
}

func publicPEM(t *testing.T, public crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func fields(p problem) string {
	var names []string
	for _, f := range p.Errors {
		names = append(names, f.Field)
		if f.Detail == "" {
			return fmt.Sprintf("%s without a hint", f.Field)
		}
	}
	return strings.Join(names, " ")
}
