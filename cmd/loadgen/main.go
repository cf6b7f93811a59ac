// Command loadgen puts a planned load on a notifier and reports what came of
// it.
//
//	loadgen run --devices 100 --rate 20 --duration 60s    a load, with a report
//	loadgen compare A B                                   two reports side by side
//	loadgen peers --gorush FILE                           the same load on Mailbell and on others
//
// By default it builds and starts the notifier and the fakes as processes of
// their own; both are ended with it. SIGINT ends the load, and the report tells
// of what was done.
//
// It exits with 0 when the promise was kept, 1 when it was not or the run
// failed, and 2 when it was called wrongly.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"mailbell/loadgen"
)

// version is set when a release is built.
var version = "development"

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

type commands struct {
	Run     runCommand       `cmd:"" help:"Put a load on a notifier and write a report."`
	Compare compareCommand   `cmd:"" help:"Print two reports side by side, with ratios."`
	Peers   peersCommand     `cmd:"" help:"Put the same on Mailbell and on what others offer, and print a table."`
	Version kong.VersionFlag `help:"Print the version."`
}

type runCommand struct {
	Devices    int           `default:"100" help:"Devices, 1 to 3 for each mailbox (${default})."`
	PerMailbox int           `name:"devices-per-mailbox" default:"3" help:"Devices of a mailbox, at most (${default})."`
	Rate       float64       `default:"10" help:"Mails a second (${default})."`
	Duration   time.Duration `placeholder:"TIME" help:"How long mails arrive (30s; soak: 30m)."`
	Seed       uint64        `default:"1" help:"Population and arrivals depend on it (${default})."`
	Report     string        `default:".scratch/loadgen" placeholder:"DIR" help:"Where the report and the logs go (${default})."`
	Profile    string        `default:"steady" enum:"steady,peak,allhands,burst,coldstart,reconnect,crash,churn,growth,soak" help:"steady, peak, allhands, burst, coldstart, reconnect, crash, churn, growth or soak (${default})."`
	Burst      bool          `help:"The same as --profile burst: one mail to all mailboxes at once."`
	ColdStart  bool          `help:"Measure a start with all devices registered, before the load."`
	Entrance   string        `default:"control" enum:"control,smtp" help:"How mail comes in: control or smtp (${default})."`
	Workers    int           `default:"64" help:"Mails on their way in, at most (${default})."`
	Drain      time.Duration `default:"1m" help:"How long to wait for the last pushes (${default})."`
	Idle       time.Duration `default:"3s" help:"How long to look at the notifier at rest (${default})."`

	CPUProfile bool `name:"cpu-profile" help:"Keep a CPU profile of the notifier beside the report; a heap profile at rest is always there."`

	FakesProfile string        `default:"calm" enum:"calm,real,hostile" help:"Misbehaviour of the fakes: calm, real or hostile (${default})."`
	Exchange     string        `default:"2019" enum:"2010sp2,2013,2016,2019,se,online" help:"Version of Exchange (${default})."`
	EWSDelay     time.Duration `name:"ews-delay" placeholder:"TIME" help:"Added by the fakes to each answer of Exchange during the load."`
	PushDelay    time.Duration `placeholder:"TIME" help:"Added by the fakes to each answer of APNs and WNS during the load."`
	WNSRate      int           `name:"wns-rate" placeholder:"N" help:"Most notifications a second that the notifier may send to WNS; by default its own default."`
	Limit        string        `placeholder:"2cpu,4GiB" help:"Bound the notifier's CPUs and memory for data; Linux only."`
	Notifier     string        `type:"path" placeholder:"FILE" help:"The notifier's program; by default it is built."`
	Fakes        string        `type:"path" placeholder:"FILE" help:"The fakes' program; by default it is built."`
	Ready        string        `type:"path" placeholder:"FILE" help:"Use fakes that run already: the file they wrote when ready."`
	API          string        `name:"api" placeholder:"URL" help:"Use a notifier that runs already, connected to those fakes: its registration service."`
	AuthorityKey string        `type:"path" placeholder:"FILE" help:"With --api: an Ed25519 private key in PEM whose credentials it accepts."`
	CAFile       string        `name:"ca-file" type:"path" placeholder:"FILE" help:"With --api: the authority of its certificate."`
}

type peersCommand struct {
	Devices  int           `default:"100" help:"iPhones, 1 to 3 for each mailbox (${default})."`
	Rate     float64       `default:"20" help:"Mails a second (${default})."`
	Duration time.Duration `default:"30s" help:"How long mails arrive (${default})."`
	Pushes   int           `default:"20000" help:"Pushes of the push half alone; 0 leaves it out (${default})."`
	Seed     uint64        `default:"1" help:"Population and arrivals depend on it (${default})."`
	Report   string        `default:".scratch/peers" placeholder:"DIR" help:"Where the reports and the logs go (${default})."`
	Gorush   string        `type:"path" placeholder:"FILE" help:"The program of gorush; without one its lines are missing."`
	Python   string        `default:"/usr/bin/python3" placeholder:"FILE" help:"A Python with exchangelib (${default})."`
	Notifier string        `type:"path" placeholder:"FILE" help:"The notifier's program; by default it is built."`
	Fakes    string        `type:"path" placeholder:"FILE" help:"The fakes' program; by default it is built."`
}

type compareCommand struct {
	A string `arg:"" help:"Directory or file of a report."`
	B string `arg:"" help:"Directory or file of another."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal ends it at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// streams are where the commands write; args is how the program was called.
type streams struct {
	out, err io.Writer
	args     []string
}

// run is the program without its process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c commands
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("loadgen"), kong.Description("Load on a notifier, measured from the planned arrival of a mail to its push."), kong.Vars{"version": "mailbell loadgen " + version},
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(&streams{stdout, stderr, args}),
	)
	if err != nil {
		fmt.Fprintln(stderr, "loadgen:", err)
		return exitFailed
	}
	k, err := parser.Parse(args)
	if exited >= 0 { // --help, --version
		return exited
	}
	if err == nil {
		err = k.Run()
	}
	var usage *kong.ParseError
	switch {
	case errors.As(err, &usage), errors.Is(err, loadgen.ErrUsage):
		fmt.Fprintf(stderr, "loadgen: %v\nloadgen --help lists what there is.\n", err)
		return exitUsage
	case errors.Is(err, errBroken): // the verdict is on standard output
		return exitFailed
	case err != nil:
		fmt.Fprintln(stderr, "loadgen:", err)
		return exitFailed
	}
	return exitOK
}

// errBroken is a promise that was not kept.
var errBroken = errors.New("the promise was not kept")

// Run does a run.
func (c runCommand) Run(ctx context.Context, s *streams) error {
	limit, err := loadgen.ParseLimit(c.Limit)
	if err != nil {
		return err
	}
	profile := loadgen.Profile(c.Profile)
	if c.Burst {
		profile = loadgen.Burst
	}
	r, err := loadgen.Run(ctx, loadgen.Options{
		Devices: c.Devices, PerMailbox: c.PerMailbox, Rate: c.Rate, Duration: c.Duration, Seed: c.Seed, Profile: profile, ColdStart: c.ColdStart,
		Entrance: c.Entrance, Workers: c.Workers, Drain: c.Drain, Idle: c.Idle, CPUProfile: c.CPUProfile,
		Notifier: c.Notifier, Fakes: c.Fakes, FakesProfile: c.FakesProfile, Exchange: c.Exchange, WNSRate: c.WNSRate, EWSDelay: c.EWSDelay, PushDelay: c.PushDelay, Limit: limit,
		ReadyFile: c.Ready, API: c.API, AuthorityKey: c.AuthorityKey, CAFile: c.CAFile,
		Dir: c.Report, Command: append([]string{"go", "run", "./cmd/loadgen"}, s.args...), Progress: s.err,
	})
	if err != nil {
		return err
	}
	r.Summary(s.out)
	fmt.Fprintf(s.out, "report: %s\n", filepath.Join(c.Report, "report.html"))
	if !r.Kept {
		return errBroken
	}
	return nil
}

// Run compares Mailbell with others.
func (c peersCommand) Run(ctx context.Context, s *streams) error {
	if c.Gorush == "" {
		fmt.Fprintln(s.err, "NO GORUSH IS GIVEN: its lines are missing; see --gorush")
	}
	rows, err := loadgen.Peers(ctx, loadgen.PeersOptions{
		Pushes: c.Pushes,
		Chain: loadgen.Options{
			Devices: c.Devices, Rate: c.Rate, Duration: c.Duration, Seed: c.Seed, Peer: &loadgen.Peer{Gorush: c.Gorush, Python: c.Python},
			Servers:  []string{"ex01"}, // exchangelib keeps one affinity cookie for all mailboxes
			Notifier: c.Notifier, Fakes: c.Fakes, Dir: c.Report, Command: append([]string{"go", "run", "./cmd/loadgen"}, s.args...), Progress: s.err,
		},
	})
	if err != nil {
		return err
	}
	loadgen.PeersTable(s.out, rows)
	return nil
}

// Run compares two reports.
func (c compareCommand) Run(s *streams) error {
	a, err := loadgen.ReadReport(c.A)
	if err != nil {
		return err
	}
	b, err := loadgen.ReadReport(c.B)
	if err != nil {
		return err
	}
	loadgen.Compare(s.out, a, b)
	return nil
}
