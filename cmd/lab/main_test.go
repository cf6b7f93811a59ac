package main

import (
	"context"
	"os"
	"os/signal"
	"testing"

	"go.uber.org/goleak"
)

// asProgram makes the test binary act as the lab, so that a lab in a test can
// start it as its notifier.
const asProgram = "MAILBELL_LAB_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	// From here on for the children only.
	if err := os.Setenv(asProgram, "1"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}
