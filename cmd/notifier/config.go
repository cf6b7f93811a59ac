package main

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"

	"mailbell/notifier/config"
)

type configCommand struct {
	Example exampleCommand `cmd:"" help:"Print a configuration with every key and what it means."`
	Check   checkCommand   `cmd:"" help:"Say everything that is wrong with a configuration, without running it."`
	Key     keyCommand     `cmd:"" help:"Print a new key for engine.encryption_key_file."`
}

type exampleCommand struct{}

// Run prints the example.
func (exampleCommand) Run(s *streams) error {
	_, err := fmt.Fprint(s.out, config.Example())
	return err
}

type checkCommand struct {
	Config string `required:"" placeholder:"FILE" help:"The configuration file."`
}

// Run reads a configuration as the command run would, and opens nothing.
func (c checkCommand) Run(s *streams) error {
	conf, err := config.Load(c.Config)
	if err != nil {
		return err
	}
	if err := conf.Close(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s: good\n", c.Config)
	return err
}

type keyCommand struct{}

// Run prints a key. It is written nowhere else.
func (keyCommand) Run(s *streams) error {
	key := make([]byte, config.EngineKeyBytes)
	rand.Read(key) // never fails
	_, err := fmt.Fprintln(s.out, base64.StdEncoding.EncodeToString(key))
	return err
}
