package loadgen

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sideshow/apns2"
	"github.com/sideshow/apns2/token"
	"go.yaml.in/yaml/v3"

	"mailbell/fakes/testtool"
)

// standIn makes this program a stand-in for gorush, which not every machine has: it
// reads the same configuration, takes the same call and pushes by apns2 through the
// proxy it is given.
const standIn = "MAILBELL_TEST_GORUSH"

func actAsGorush(config string) error {
	text, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	var c struct {
		Core struct {
			Address   string
			Port      string
			HTTPProxy string `yaml:"http_proxy"`
		}
		IOS struct {
			KeyPath string `yaml:"key_path"`
			KeyID   string `yaml:"key_id"`
			TeamID  string `yaml:"team_id"`
		}
	}
	if err := yaml.Unmarshal(text, &c); err != nil {
		return err
	}
	proxy, err := url.Parse(c.Core.HTTPProxy)
	if err != nil {
		return err
	}
	key, err := token.AuthKeyFromFile(c.IOS.KeyPath)
	if err != nil {
		return err
	}
	client := apns2.NewTokenClient(&token.Token{AuthKey: key, KeyID: c.IOS.KeyID, TeamID: c.IOS.TeamID}).Production()
	client.HTTPClient.Transport = &http.Transport{Proxy: http.ProxyURL(proxy), ForceAttemptHTTP2: true}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /api/push", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Notifications []struct {
				Tokens         []string
				Topic          string
				Title, Message string
				Data           map[string]any
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for _, n := range in.Notifications {
			payload := map[string]any{"aps": map[string]any{"alert": map[string]string{"title": n.Title, "body": n.Message}}}
			for k, v := range n.Data {
				payload[k] = v
			}
			for _, device := range n.Tokens {
				res, err := client.PushWithContext(r.Context(), &apns2.Notification{DeviceToken: device, Topic: n.Topic, Payload: payload})
				if err == nil && !res.Sent() {
					err = errors.New(res.Reason)
				}
				if err != nil {
					http.Error(w, err.Error(), http.StatusBadGateway)
					return
				}
			}
		}
	})
	server := &http.Server{Addr: net.JoinHostPort(c.Core.Address, c.Core.Port), Handler: mux, ReadHeaderTimeout: callTimeout}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() { server.Close() })
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func TestMailbellAndPeersAreComparedUnderTheSameLoad(t *testing.T) {
	python := testtool.Python(t, "no peer of the notifier ran")
	dir := t.TempDir()
	notifier, fakes := filepath.Join(dir, "notifier"), filepath.Join(dir, "fakes")
	for name, path := range map[string]*string{"notifier": &notifier, "fakes": &fakes} {
		if err := build(t.Context(), name, dir, path); err != nil {
			t.Fatal(err)
		}
	}
	gorush, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(standIn, "1")
	o := PeersOptions{Pushes: 250, Chain: Options{
		Devices: 9, Rate: 20, Duration: time.Second, Seed: 5, Idle: 10 * time.Millisecond, Servers: []string{"ex01"},
		Peer: &Peer{Gorush: gorush, Python: python}, Notifier: notifier, Fakes: fakes, Dir: dir,
	}}
	rows, err := Peers(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i, r := range rows {
		names = append(names, r.Name)
		chain := i >= 2
		if r.Lost != 0 || r.PerSecond <= 0 || !chain && r.Pushes != o.Pushes || chain && (r.Pushes < 10 || r.LatencyMS.Max == 0) || measurable && *r.PeakMB < 5 {
			t.Errorf("%+v", r)
		}
	}
	if strings.Join(names, "; ") != "apns2, a bare loop; gorush; Mailbell; exchangelib, gorush" {
		t.Fatal(names)
	}
	if rows[2].Pushes != rows[3].Pushes {
		t.Errorf("not the same load: %d and %d pushes", rows[2].Pushes, rows[3].Pushes)
	}
	for _, d := range []string{"mailbell", "peer"} {
		if r, err := ReadReport(filepath.Join(dir, d)); err != nil || !r.Kept {
			t.Errorf("%s: %v %s %q", d, err, r.Verdict, r.Findings)
		}
	}

	// Where there is no gorush, the rest is compared.
	o.Chain.Peer.Gorush, o.Pushes = "", 0
	if rows, err = Peers(t.Context(), o); err != nil || len(rows) != 1 || rows[0].Name != "Mailbell" {
		t.Errorf("%v %+v", err, rows)
	}
}

func TestAPeerIsStartedAndLeftAlone(t *testing.T) {
	for _, change := range []func(*Options){
		func(o *Options) { o.Profile = Crash },
		func(o *Options) { o.Profile = Growth },
		func(o *Options) { o.ColdStart = true },
		func(o *Options) { o.CPUProfile = true },
		func(o *Options) { o.API, o.ReadyFile, o.AuthorityKey = "http://127.0.0.1:1", "ready.json", "key.pem" },
	} {
		o := Options{Devices: 1, Rate: 1, Dir: t.TempDir(), Peer: &Peer{}}
		change(&o)
		if _, err := Run(t.Context(), o); !errors.Is(err, ErrUsage) {
			t.Errorf("%v", err)
		}
	}
	if _, err := Peers(t.Context(), PeersOptions{Pushes: PushesMax + 1, Chain: Options{Dir: t.TempDir(), Peer: &Peer{}}}); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "pushes") {
		t.Errorf("%v", err)
	}
}

func TestTheTableOfPeersTellsRatios(t *testing.T) {
	v := func(f float64) *float64 { return &f }
	var out bytes.Buffer
	PeersTable(&out, []PeerRow{
		{Half: "1,000 pushes", Name: "a", Pushes: 1000, PerSecond: 2000, CPUPerPush: v(30), PeakMB: v(20)},
		{Half: "1,000 pushes", Name: "b", Pushes: 999, Lost: 1, PerSecond: 1000, CPUPerPush: v(60)},
		{Half: "the whole", Name: "c", Pushes: 5, PerSecond: 5, LatencyMS: &Latency{P50: 1, P99: 2, Max: 3}, CPUPerPush: v(500)},
	})
	want := `| compared | who | pushes | lost | pushes/s | p50 / p99 / max | CPU a push | peak memory |
|---|---|---|---|---|---|---|---|
| 1,000 pushes | a | 1,000 | 0 | 2000 | – | 30 µs | 20 MiB |
| 1,000 pushes | b | 999 | 1 | 1000 | – | 60 µs (2.0 ×) | not measured |
| the whole | c | 5 | 0 | 5 | 1.00 ms / 2.00 ms / 3.00 ms | 500 µs | not measured |
`
	if out.String() != want {
		t.Errorf("%s", &out)
	}
}
