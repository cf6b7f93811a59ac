package main

import (
	"context"
	"errors"
	"io"
	"os"

	"mailbell/notifier/app"
	"mailbell/notifier/config"
)

// notifierCommand is what the lab starts as a process of its own: `notifier
// run`, except that it also ends when its standard input does. The lab holds
// the other end, so the notifier never outlives it, whatever ended the lab.
type notifierCommand struct {
	Config string `required:"" placeholder:"FILE" help:"The configuration file."`
	Remove string `placeholder:"DIR" help:"Directory to remove when standard input has ended."`
}

// Run runs an instance until ctx or standard input ends.
func (c notifierCommand) Run(ctx context.Context, s *streams) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { // as long as the process: a read of standard input cannot be broken off
		_, _ = io.Copy(io.Discard, s.in) // an error is an end, too
		cancel(errOrphan)
	}()
	err := c.run(ctx, s.err)
	if c.Remove != "" && errors.Is(context.Cause(ctx), errOrphan) {
		_ = os.RemoveAll(c.Remove) // the lab, if it still lives, tries again and says what is wrong
	}
	return err
}

// errOrphan is the cause of an end because standard input ended.
var errOrphan = errors.New("standard input ended")

func (c notifierCommand) run(ctx context.Context, stderr io.Writer) error {
	conf, err := config.Load(c.Config)
	if err != nil {
		return err
	}
	conf.Options.Logger = conf.Logger(stderr)
	instance, err := app.New(conf.Options)
	if err != nil {
		return errors.Join(err, conf.Close())
	}
	err = instance.Run(ctx)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, conf.Close())
}
