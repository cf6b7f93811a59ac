//lint:file-ignore SA1019 apns2 is used with the transport that it comes with

package loadgen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sideshow/apns2"
	"github.com/sideshow/apns2/token"
	"golang.org/x/net/http2"
)

// Limits of a comparison with peers.
const (
	PushesMax    = 500_000 // fewer than the entries that the fakes' journal holds
	peersAtOnce  = 100     // pushes in flight of a bare apns2 loop
	gorushBatch  = 100     // notifications in a call to gorush
	gorushCalls  = 4       // calls to gorush at once
	peersDevices = 1000
)

// PeersOptions choose a comparison with peers.
type PeersOptions struct {
	Chain  Options // what Mailbell and the peer are both put under; its Peer is the peer
	Pushes int     // of the push half alone; 0: left out
}

// PeerRow is a line of the comparison.
type PeerRow struct {
	Half       string // what was compared
	Name       string
	Pushes     int
	Lost       int
	PerSecond  float64
	LatencyMS  *Latency // nil: not measured
	CPUPerPush *float64 // µs
	PeakMB     *float64 // MiB, resident
}

// Peers puts the same on peers and on Mailbell, one after another: a number of
// pushes on a bare loop of apns2 and on gorush; the load of a run on Mailbell and on
// exchangelib with gorush. The reports of the last two are in directories mailbell
// and peer beneath Dir. Without a gorush its lines are missing.
func Peers(ctx context.Context, o PeersOptions) ([]PeerRow, error) {
	if o.Pushes < 0 || o.Pushes > PushesMax {
		return nil, fmt.Errorf("%w: pushes: %d; 0 to %d are possible", ErrUsage, o.Pushes, PushesMax)
	}
	if o.Chain.Peer == nil {
		return nil, fmt.Errorf("%w: no peer is given", ErrUsage)
	}
	if o.Chain.Dir == "" {
		return nil, fmt.Errorf("%w: report: no directory is given", ErrUsage)
	}
	if _, err := NewPopulation(o.Chain.Devices, PerMailboxDefault, o.Chain.Seed); err != nil { // known before the push half has run
		return nil, err
	}
	var rows []PeerRow
	if o.Pushes > 0 {
		half, err := pushHalves(ctx, o)
		if err != nil {
			return nil, err
		}
		rows = half
	}
	for _, c := range []struct {
		name, dir string
		peer      *Peer
	}{{"Mailbell", "mailbell", nil}, {"exchangelib, gorush", "peer", o.Chain.Peer}} {
		if c.peer != nil && c.peer.Gorush == "" {
			continue
		}
		chain := o.Chain
		chain.Peer, chain.Phones, chain.Dir = c.peer, true, filepath.Join(o.Chain.Dir, c.dir)
		r, err := Run(ctx, chain)
		if err != nil {
			return rows, fmt.Errorf("%s: %w", c.name, err)
		}
		rows = append(rows, PeerRow{
			Half: fmt.Sprintf("mail to push, %g mails/s", chain.Rate), Name: c.name, Pushes: r.Pushes, Lost: r.Lost, PerSecond: float64(r.Pushes) / r.Load.TookS,
			LatencyMS: &r.LatencyMS, CPUPerPush: r.Notifier.CPUPerPush, PeakMB: r.Notifier.RSSPeakMB,
		})
	}
	return rows, nil
}

// pushHalves puts pushes on a bare loop of apns2, and on gorush if there is one.
func pushHalves(ctx context.Context, o PeersOptions) (rows []PeerRow, err error) {
	chain := o.Chain
	chain.Devices, chain.PerMailbox, chain.Profile = peersDevices, 1, Steady
	r, err := newRun(chain)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	for _, step := range []func(context.Context) error{r.programs, r.startFakes} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	r.enrolment = &enrolment{control: r.control, push: r.ready.Push}
	if err := r.enrolment.addresses(ctx, r.population); err != nil {
		return nil, err
	}
	bare, err := r.bareAPNs2()
	if err != nil {
		return nil, err
	}
	defer bare.HTTPClient.CloseIdleConnections()
	r.say("%s pushes by a bare loop of apns2", thousands(o.Pushes))
	row, err := r.pushHalf(ctx, o.Pushes, peersAtOnce, 1, ownUsage, func(ctx context.Context, from, _ int) error {
		res, err := bare.PushWithContext(ctx, r.barePush(from))
		if err == nil && !res.Sent() {
			err = errors.New(res.Reason)
		}
		return err
	})
	row.Name = "apns2, a bare loop"
	if rows = append(rows, row); err != nil || o.Chain.Peer.Gorush == "" {
		return rows, err
	}
	g, err := r.startGorush(ctx, o.Chain.Peer.Gorush, true)
	if err != nil {
		return rows, err
	}
	r.say("%s pushes by gorush", thousands(o.Pushes))
	row, err = r.pushHalf(ctx, o.Pushes, gorushCalls, gorushBatch, g.Usage, func(ctx context.Context, from, to int) error {
		var list []section
		for i := from; i < to; i++ {
			list = append(list, section{
				"tokens": []string{r.phone(i)}, "platform": 1, "topic": r.ready.Push.Topic, "title": peersTitle, "message": peersText, "sound": "default",
				"mutable_content": true, "push_type": "alert", "priority": "high",
			})
		}
		return g.calls.do(ctx, http.MethodPost, "/api/push", "", section{"notifications": list}, nil)
	})
	row.Name = "gorush"
	return append(rows, row), err
}

// What a notification says.
const (
	peersTitle = "Ada Example"
	peersText  = "Figures for March"
)

func (r *run) phone(i int) string { return r.population.Devices[i%len(r.population.Devices)].Address }

// pushHalf has n pushes made, some in one call and so many calls at once, and
// counts what the provider then has. used is what their maker has used.
func (r *run) pushHalf(ctx context.Context, n, atOnce, batch int, used func() (time.Duration, memory, bool), call func(ctx context.Context, from, to int) error) (PeerRow, error) {
	row := PeerRow{Half: fmt.Sprintf("%s pushes", thousands(n))}
	_, last, err := r.control.page(ctx, math.MaxUint64, 1)
	if err != nil {
		return row, fmt.Errorf("journal: %w", err)
	}
	before, _, _ := used()
	began := time.Now()
	if err := inParallel(ctx, atOnce, (n+batch-1)/batch, func(ctx context.Context, i int) error { return call(ctx, i*batch, min(n, (i+1)*batch)) }); err != nil {
		return row, err
	}
	row.PerSecond = float64(n) / time.Since(began).Seconds()
	after, m, ok := used()
	if ok {
		cpu := float64((after - before).Microseconds()) / float64(n)
		row.CPUPerPush, row.PeakMB = &cpu, mebibytes(m.peak)
	}
	j := journal{pages: r.control.page, after: last}
	err = j.read(ctx, func(o Observation) {
		if o.Outcome == Accepted {
			row.Pushes++
		}
	})
	row.Lost = n - row.Pushes
	return row, err
}

// ownUsage is what this process has used.
func ownUsage() (time.Duration, memory, bool) {
	cpu, m := usage(os.Getpid())
	return cpu, m, measurable
}

// bareAPNs2 is apns2 as it comes, led to the fakes.
func (r *run) bareAPNs2() (*apns2.Client, error) {
	key, err := token.AuthKeyFromFile(r.ready.Push.APNsKeyFile)
	if err != nil {
		return nil, fmt.Errorf("push: %w", err)
	}
	trust, err := trusting(r.ready.CAFile)
	if err != nil {
		return nil, err
	}
	c := apns2.NewTokenClient(&token.Token{AuthKey: key, KeyID: r.ready.Push.KeyID, TeamID: r.ready.Push.TeamID}).Production()
	c.HTTPClient.Transport.(*http2.Transport).DialTLSContext = func(ctx context.Context, network, _ string, config *tls.Config) (net.Conn, error) {
		config = config.Clone()
		config.RootCAs = trust
		d := tls.Dialer{Config: config}
		return d.DialContext(ctx, network, r.ready.Hosts["api.push.apple.com:443"])
	}
	return c, nil
}

func (r *run) barePush(i int) *apns2.Notification {
	return &apns2.Notification{
		DeviceToken: r.phone(i), Topic: r.ready.Push.Topic, PushType: apns2.PushTypeAlert, Priority: apns2.PriorityHigh,
		Payload: []byte(`{"aps":{"alert":{"title":"` + peersTitle + `","body":"` + peersText + `"},"mutable-content":1,"sound":"default"}}`),
	}
}

// PeersTable writes the comparison as a table in Markdown. Ratios are to the first
// line of what was compared.
func PeersTable(w io.Writer, rows []PeerRow) {
	fmt.Fprintln(w, "| compared | who | pushes | lost | pushes/s | p50 / p99 / max | CPU a push | peak memory |\n|---|---|---|---|---|---|---|---|")
	var first PeerRow
	for _, row := range rows {
		if row.Half != first.Half {
			first = row
		}
		latency := "–"
		if l := row.LatencyMS; l != nil {
			latency = strings.Join([]string{milliseconds(l.P50), milliseconds(l.P99), milliseconds(l.Max)}, " / ")
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %.0f | %s | %s | %s |\n", row.Half, row.Name, thousands(row.Pushes), thousands(row.Lost), row.PerSecond, latency,
			ratio(row.CPUPerPush, first.CPUPerPush, "µs"), ratio(row.PeakMB, first.PeakMB, "MiB"))
	}
}

// ratio is a figure with its ratio to another.
func ratio(v, to *float64, unit string) string {
	switch {
	case v == nil:
		return "not measured"
	case to == nil || *to == 0 || v == to:
		return fmt.Sprintf("%.0f %s", *v, unit)
	}
	return fmt.Sprintf("%.0f %s (%.1f ×)", *v, unit, *v / *to)
}
