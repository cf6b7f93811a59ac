// Package client drives a running `fakes` process: it sends mail, makes devices,
// sets faults, moves mailboxes, and waits for what comes of it. It is written
// for the tests of programs that have nothing to do with Mailbell: it knows the
// control API's JSON and nothing of what is behind it, so that it can be read as
// that API's documentation, copied, or translated into another language.
//
// A test starts the fakes, or connects to some that run:
//
//	world, err := client.Start(ctx, client.Command{Path: "fakes", Args: []string{"--profile", "calm"}})
//	world, err := client.Dial(ctx, "http://127.0.0.1:8600")
//	world, err := client.DialFile(ctx, "ready.json")
//
// points the program under test at the addresses in [World.Ready], with
// [World.RootCAs] as its authorities and [World.DialContext] as its way to real
// host names, and then acts and waits:
//
//	token, err := world.NewIPhone(ctx, client.IPhone{})
//	_, err = world.Mail(ctx, client.Mail{To: []string{"user00001@contoso.test"}, From: "ada@fabrikam.test", Subject: "lunch?"})
//	push, err := world.AwaitPush(ctx, token, "lunch?")
//
// Everything that waits ends with its context. Errors of the API are [*Error]
// with the status and the field that was wrong. A World is safe for concurrent
// use.
package client
