package main

import (
	"context"
	"errors"

	"mailbell/notifier/app"
	"mailbell/notifier/config"
)

type runCommand struct {
	Config string `required:"" placeholder:"FILE" help:"The configuration file."`
}

// Run runs an instance until ctx ends, or a part of it fails.
func (c runCommand) Run(ctx context.Context, s *streams) (err error) {
	conf, err := config.Load(c.Config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conf.Close()) }()
	log := conf.Logger(s.err)
	conf.Options.Logger = log
	instance, err := app.New(conf.Options)
	if err != nil {
		return err
	}
	log.Info("starting", "version", version)
	looking, stop := context.WithCancel(ctx)
	defer stop()
	go newMemory().run(looking)
	err = instance.Run(ctx)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil // told to stop while it was starting
	}
	if err == nil {
		log.Info("stopped")
	}
	return err
}
