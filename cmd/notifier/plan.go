package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"mailbell/notifier/watch"
)

type planCommand struct {
	Mailboxes        int           `required:"" placeholder:"N" help:"Mailboxes to watch."`
	Exchange         string        `required:"" enum:"${versions}" placeholder:"VERSION" help:"Exchange: ${versions}."`
	Groups           int           `default:"1" help:"Sets of mailboxes that share EWS URL and GroupingInformation, about one for each site (${default})."`
	Accounts         int           `default:"0" help:"Listener accounts there are; by default as many as needed."`
	AccountMailboxes int           `default:"${account_mailboxes}" help:"Mailboxes of one account, at most (${default})."`
	Requests         int           `default:"${account_requests}" help:"Requests of one account at a time (${default})."`
	Latency          time.Duration `default:"50ms" help:"How long Exchange takes for one request (${default})."`
}

// Run prints what it takes to watch so many mailboxes. What does not fit makes
// it fail, with what to change.
func (c planCommand) Run(s *streams) error {
	p, err := watch.MakePlan(watch.PlanOptions{
		Mailboxes: c.Mailboxes, Exchange: c.Exchange, Groups: c.Groups, Accounts: c.Accounts, AccountMailboxes: c.AccountMailboxes,
		Requests: c.Requests, Latency: c.Latency,
	})
	if err != nil {
		return err
	}
	if err := c.print(s.out, p); err != nil {
		return err
	}
	if len(p.Problems) > 0 {
		return fmt.Errorf("it does not fit: %s", strings.Join(p.Problems, "; "))
	}
	return nil
}

func (c planCommand) print(w io.Writer, p watch.Plan) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%d mailboxes of Exchange %s, inside its default throttling policy\n", c.Mailboxes, c.Exchange)
	for _, line := range []struct {
		what, figure, note string
	}{
		{"listener accounts", fmt.Sprint(p.Accounts), fmt.Sprintf("of at most %d mailboxes each", p.PerAccount)},
		{"streams", fmt.Sprint(p.Streams), fmt.Sprintf("that stay open, %d with those for newcomers; each charged to its own anchor mailbox, at most %d to one", p.StreamsMost, p.Charged)},
		{"connections", fmt.Sprint(p.Connections), "at most, to Exchange; the process's limit of open files has to be above"},
		{"requests at start-up", fmt.Sprint(p.Requests()), fmt.Sprintf("%d Autodiscover, %d Subscribe, %d GetStreamingEvents, %d FindItem at least", p.Discoveries, p.Subscribes, p.Openings, p.Comparisons)},
		{"start-up time", p.StartUp.Round(10 * time.Millisecond).String(), fmt.Sprintf("until all is compared, when a request takes %s", c.Latency)},
	} {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", line.what, line.figure, line.note)
	}
	return t.Flush()
}
