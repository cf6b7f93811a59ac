// Command notifier is Mailbell's production program.
//
//	notifier run --config notifier.yaml      run an instance until SIGINT or SIGTERM
//	notifier config example                  print a configuration with every key
//	notifier config check --config FILE      say everything that is wrong with a file
//	notifier config key                      print a new key for the stores
//	notifier explain MAILBOX --config FILE   say how a mailbox is doing, and why a device hears nothing
//	notifier status --config FILE            say how the instance that runs is doing
//	notifier plan --mailboxes N --exchange V what it takes to watch so many mailboxes
//	notifier version
//
// It exits with 0 after an orderly end, 1 after a failure, and 2 when it was
// called wrongly.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"mailbell/notifier/watch"
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
	Run     runCommand     `cmd:"" help:"Run an instance until it is told to stop."`
	Config  configCommand  `cmd:"" help:"Make and check configuration files."`
	Explain explainCommand `cmd:"" help:"Say how a mailbox is doing, and why a device hears nothing."`
	Status  statusCommand  `cmd:"" help:"Say how the instance that runs is doing, as JSON."`
	Plan    planCommand    `cmd:"" help:"Say what it takes to watch so many mailboxes, and what does not fit."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program without its process: it ends when ctx does, and returns
// the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c commands
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("notifier"), kong.Description("New-mail push notifications for Exchange mailboxes."),
		kong.Vars{"versions": strings.Join(watch.PlanVersions(), ","), "account_mailboxes": strconv.Itoa(watch.AccountMailboxesMax), "account_requests": strconv.Itoa(watch.AccountRequestsMax)},
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(&streams{stdout, stderr}),
	)
	if err != nil {
		fmt.Fprintln(stderr, "notifier:", err)
		return exitFailed
	}
	command, err := parser.Parse(args)
	if exited >= 0 { // --help has been answered
		return exited
	}
	if err != nil {
		fmt.Fprintf(stderr, "notifier: %v\nnotifier --help lists what there is.\n", err)
		return exitUsage
	}
	if err := command.Run(); err != nil {
		fmt.Fprintln(stderr, "notifier:", err)
		return exitFailed
	}
	return exitOK
}

// streams are where the commands write.
type streams struct{ out, err io.Writer }

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(s *streams) error {
	_, err := fmt.Fprintln(s.out, "mailbell notifier", version)
	return err
}
