// Command fakes runs the simulated Exchange organisation and push services by
// themselves, for any client that wants to be tested against them.
//
// When everything serves it writes one JSON object to standard output, and to
// --ready-file: the addresses, the certificate authority, the listener account,
// and a map from real host names to where they are on this machine. GET / of
// the control address describes the control API, and is a page to look at in a
// browser. It runs until SIGINT or SIGTERM and exits with 0, with 1 after a
// failure and with 2 when called wrongly.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strconv"
	"strings"
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
	Servers   []string          `placeholder:"NAMES" help:"Names of the mailbox servers, separated by commas; by default ex01,ex02."`
	Listeners int               `default:"1" help:"Number of listener accounts; one is good for 1,250 mailboxes."`
	ReadyFile string            `type:"path" placeholder:"FILE" help:"Write the addresses here too, when everything serves. A file that is there is removed first."`
	Dir       string            `type:"path" placeholder:"DIR" help:"Where the certificate authority and the APNs key are written; by default a new temporary directory."`
	Listen    string            `placeholder:"HOST" help:"Bind all services to this address (127.0.0.1, 0.0.0.0, ::) at fixed ports instead of free ones: ${ports}."`
	At        map[string]string `placeholder:"SERVICE=ADDRESS" help:"Bind one service to an address, such as control=127.0.0.1:8600; before --listen. May be given several times. Services: ${services}."`
	Advertise string            `placeholder:"HOST" help:"Host name or address under which clients reach the services, for the addresses that are written and for the certificates."`
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
	parser, err := kong.New(&c, kong.Name("fakes"), kong.Description(description),
		kong.Vars{"version": "mailbell fakes " + version, "ports": portList(), "services": strings.Join(services, ", ")},
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }))
	if err != nil {
		fmt.Fprintln(stderr, "fakes:", err)
		return 1
	}
	_, err = parser.Parse(args)
	if exited >= 0 { // --help, --version
		return exited
	}
	if err == nil {
		err = c.check()
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

// description is the beginning of --help.
const description = `Fake Exchange Web Services, Autodiscover, SMTP, APNs, WNS and Entra ID: real servers with a simulated organisation and simulated devices behind them.

When everything serves, one JSON object is written to standard output: addresses (ews, autodiscover, apns, apns_sandbox, wns, wns_token, oauth, smtp, control), proxy (an HTTP proxy that leads to them by their real names), ca_file (trust it), listener (an account that may impersonate), mailboxes, push (credentials of a sender), and hosts, from real host names to where they are here.

Open the control address in a browser to look at the world, or GET it from a script for the list of calls:

  curl $CONTROL/mail -d '{"to":["user00001@contoso.test"],"from":"ada@fabrikam.test","subject":"hello"}'
  curl "$CONTROL/journal?wait=30s"

Exit codes: 0 ended by SIGINT or SIGTERM, 1 failed, 2 wrong usage.`

// serverName is what a mailbox server may be called: a label of a host name.
var serverName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// services are what can be bound, in the order of their fixed ports.
var services = []string{"control", "ews", "autodiscover", "autodiscover_http", "apns", "apns_sandbox", "wns", "wns_token", "oauth", "smtp", "proxy"}

// portBase is the first of the fixed ports.
const portBase = 8600

func portList() string {
	var out []string
	for i, s := range services {
		out = append(out, fmt.Sprint(s, " ", portBase+i))
	}
	return strings.Join(out, ", ")
}

// check finds what kong cannot: every error names the flag and what is allowed.
func (c commandLine) check() error {
	if c.Mailboxes < 0 || c.Mailboxes > fakes.MailboxesMax {
		return fmt.Errorf("--mailboxes: %d; 0 to %d is allowed", c.Mailboxes, fakes.MailboxesMax)
	}
	if c.Listen != "" && net.ParseIP(c.Listen) == nil {
		return fmt.Errorf("--listen: %q is no IP address; 127.0.0.1, 0.0.0.0 or :: is meant", c.Listen)
	}
	if strings.ContainsAny(c.Advertise, ":/ ") && net.ParseIP(c.Advertise) == nil {
		return fmt.Errorf("--advertise: %q; a host name or an IP address without a port is allowed", c.Advertise)
	}
	for i, name := range c.Servers {
		if !serverName.MatchString(name) || slices.Contains(c.Servers[:i], name) {
			return fmt.Errorf("--servers: %q; each is a name of its own in small letters, digits and hyphens, such as ex01", name)
		}
	}
	for service, address := range c.At {
		if !slices.Contains(services, service) {
			return fmt.Errorf("--at: %q is no service; there are %s", service, strings.Join(services, ", "))
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			return fmt.Errorf("--at: %s=%s: want host:port, such as 127.0.0.1:8600", service, address)
		}
	}
	return nil
}

// fixed is where services are bound that do not get a free port.
func (c commandLine) fixed() map[string]string {
	at := map[string]string{}
	for i, s := range services {
		if c.Listen != "" {
			at[s] = net.JoinHostPort(c.Listen, strconv.Itoa(portBase+i))
		}
	}
	maps.Copy(at, c.At)
	return at
}

// serve runs the world until ctx ends.
func (c commandLine) serve(ctx context.Context, stdout, stderr io.Writer) (ended error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return err
	}
	if c.ReadyFile != "" { // whoever waits for it must not find that of an earlier run
		if err := os.Remove(c.ReadyFile); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	w, err := fakes.Start(fakes.Options{
		Version: exchange.Version(c.Exchange), Profile: fault.Profile(c.Profile), Seed: c.Seed, Mailboxes: c.Mailboxes, Servers: c.Servers, Listeners: c.Listeners, Fixed: c.fixed(), Advertise: c.Advertise,
		Logger: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})),
	})
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w; stop what occupies it, or choose another address with --at SERVICE=127.0.0.1:0", err)
	}
	if err != nil {
		return err
	}
	defer func() { ended = errors.Join(ended, w.Close()) }()
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
