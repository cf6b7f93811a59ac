// Command lab shows Mailbell at work on one machine: the simulated Exchange
// organisation, APNs and WNS, the real notifier as a process of its own, a few
// sample phones and PCs, and a page in the browser on which they light up.
//
//	lab                  serve the page until SIGINT or SIGTERM
//	lab --once           tell one story without a browser, hop by hop, and judge it
//
// In go real mails, by SMTP or by the page's form. What the page shows comes
// out of the journal of the simulated servers and out of nothing else: a device
// lights up when its provider has accepted the push. The page can break things:
// cut the streams, move a mailbox, restart Exchange, take APNs down, kill the
// notifier and start it again.
//
// Nothing is left behind. The lab ends its notifier, its servers and its
// temporary directory in order, after a failed start and after a panic too; when
// the lab itself is killed, the notifier sees its standard input end, stops, and
// removes the directory.
//
// It exits with 0 after an orderly end, 1 after a failure, of which a story that
// did not keep the promise is one, and 2 when it was called wrongly.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"mailbell/fakes/exchange"
	"mailbell/fakes/fault"
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
	Lab      labCommand       `cmd:"" default:"withargs" help:"Show Mailbell at work."`
	Notifier notifierCommand  `cmd:"" hidden:"" help:"Run the notifier; the lab calls this."`
	Version  kong.VersionFlag `help:"Print the version."`
}

type labCommand struct {
	Addr     string        `default:"127.0.0.1:8626" placeholder:"HOST:PORT" help:"Where the page is served (${default})."`
	SMTP     string        `default:"" placeholder:"HOST:PORT" help:"Where mail is taken; by default 127.0.0.1:2525 if it is free, else any port."`
	Once     bool          `help:"Tell one story without a browser and judge it."`
	Patience time.Duration `default:"20s" help:"How long the story may take (${default})."`
	Seed     int64         `default:"1" help:"Everything drawn depends on it."`
	Profile  string        `default:"real" enum:"real,hostile,calm" help:"Misbehaviour unasked: real, hostile or calm (${default})."`
	Exchange string        `default:"2019" enum:"2010sp2,2013,2016,2019,se,online" help:"Version of Exchange: 2010sp2, 2013, 2016, 2019, se or online (${default})."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program without its process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c commands
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("lab"), kong.Description("Mailbell at work on one machine, with a page in the browser."),
		kong.Vars{"version": "mailbell lab " + version},
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(&streams{os.Stdin, stdout, stderr}),
	)
	if err != nil {
		fmt.Fprintln(stderr, "lab:", err)
		return exitFailed
	}
	k, err := parser.Parse(args)
	if exited >= 0 { // --help, --version
		return exited
	}
	if err != nil {
		fmt.Fprintf(stderr, "lab: %v\nlab --help lists what there is.\n", err)
		return exitUsage
	}
	if err := k.Run(); err != nil {
		if !errors.Is(err, errJudged) { // the verdict is on standard output
			fmt.Fprintln(stderr, "lab:", err)
		}
		return exitFailed
	}
	return exitOK
}

// streams are the standard streams.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// Run serves the page or tells the story.
func (c labCommand) Run(ctx context.Context, s *streams) error {
	o := options{Version: exchange.Version(c.Exchange), Profile: fault.Profile(c.Profile), Seed: c.Seed, SMTP: c.SMTP}
	if c.Once {
		o.AnySMTP = true
		return once(ctx, o, c.Patience, s.out)
	}
	return serve(ctx, o, c.Addr, s.out)
}
