// Command fakes runs the simulated Exchange organisation and push services by
// themselves, for any client that wants to be tested against them.
//
// When everything serves it writes one JSON object to standard output, and to
// --ready-file: the addresses, the certificate authority, the listener account,
// and a map from real host names to where they are on this machine. GET / of
// the control address describes the control API. It runs until SIGINT or
// SIGTERM and exits with 0, with 1 after a failure and with 2 when called
// wrongly.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"mailbell/fakes"
	"mailbell/fakes/exchange"
	"mailbell/fakes/fault"
)

// version is set when a release is built.
var version = "development"

type commandLine struct {
	Seed      int64             `default:"1" help:"Everything drawn depends on it."`
	Profile   string            `default:"real" enum:"real,hostile,calm" help:"Misbehaviour unasked: real, hostile or calm."`
	Exchange  string            `default:"2019" enum:"2010sp2,2013,2016,2019,se,online" help:"Version of Exchange: 2010sp2, 2013, 2016, 2019, se or online."`
	Mailboxes int               `default:"10" help:"Number of mailboxes."`
	Listeners int               `default:"1" help:"Number of listener accounts; one is good for 1,250 mailboxes."`
	ReadyFile string            `type:"path" placeholder:"FILE" help:"Write the addresses here too."`
	Dir       string            `type:"path" placeholder:"DIR" help:"Where the certificate authority and the APNs key are written; by default a new temporary directory."`
	At        map[string]string `placeholder:"SERVICE=ADDRESS" help:"Bind a service (ews, autodiscover, apns, apns_sandbox, wns, wns_token, oauth, smtp, control) to an address."`
	LogLevel  string            `default:"warn" enum:"debug,info,warn,error" help:"Log level on standard error."`
	Version   kong.VersionFlag  `help:"Print the version."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c commandLine
	exited := -1
	parser, err := kong.New(&c, kong.Name("fakes"), kong.Description("Fake Exchange, APNs and WNS."), kong.Vars{"version": "mailbell fakes " + version},
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }))
	if err != nil {
		fmt.Fprintln(stderr, "fakes:", err)
		return 1
	}
	_, err = parser.Parse(args)
	if exited >= 0 { // --help, --version
		return exited
	}
	if err != nil {
		fmt.Fprintf(stderr, "fakes: %v\nfakes --help lists what there is.\n", err)
		return 2
	}
	if err := c.serve(ctx, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "fakes:", err)
		return 1
	}
	return 0
}

// serve runs the world until ctx ends.
func (c commandLine) serve(ctx context.Context, stdout, stderr io.Writer) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return err
	}
	w, err := fakes.Start(fakes.Options{
		Version: exchange.Version(c.Exchange), Profile: fault.Profile(c.Profile), Seed: c.Seed, Mailboxes: c.Mailboxes, Listeners: c.Listeners, Fixed: c.At,
		Logger: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})),
	})
	if err != nil {
		return err
	}
	defer w.Close()
	dir := c.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "mailbell-fakes-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := w.WriteFiles(dir); err != nil {
		return err
	}
	ready := w.Ready(dir).JSON()
	if c.ReadyFile != "" {
		// Whoever waits for the file must find it whole.
		tmp := c.ReadyFile + ".tmp"
		if err := os.WriteFile(tmp, ready, 0o600); err != nil {
			return err
		}
		if err := os.Rename(tmp, c.ReadyFile); err != nil {
			return err
		}
	}
	if _, err := stdout.Write(ready); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
