package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"mailbell/fakes/exchange"
	"mailbell/fakes/journal"
)

// shownMax is how many characters of a line the story prints.
const shownMax = 56

// errJudged is a story that did not keep the promise; the verdict tells why.
var errJudged = errors.New("the promise was not kept")

// story is one run without a browser.
type story struct {
	lab   *lab
	trail *trail
	out   io.Writer
	began time.Time
	seq   uint64 // of the newest journal entry that was followed
}

// once tells one story: the lab starts, six mails come in by SMTP, every device
// gets every one of them. It prints each hop and ends with a verdict.
func once(ctx context.Context, o options, patience time.Duration, out io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s := &story{out: out, began: time.Now()}
	s.say("starting Exchange %s, APNs, WNS (profile %s, seed %d), and the notifier as a process of its own", o.Version, o.Profile, o.Seed)
	if s.lab, err = open(ctx, o); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.lab.Close()) }()
	s.trail = newTrail(s.lab.Devices)
	s.follow(s.lab.World.Journal.After(0))

	mailboxes := s.lab.Mailboxes()
	begin, stop := context.WithTimeout(ctx, patience/2)
	err = s.await(begin, func() bool { return s.trail.streaming() >= len(mailboxes) })
	stop()
	if err != nil {
		s.say("not every mailbox is on a stream yet; mail is found by comparing then")
	}
	sent, err := letters(o.Seed, mailboxes)
	if err != nil {
		return err
	}
	for i, l := range sent {
		if err := s.mail(ctx, i+1, l, mailboxes); err != nil {
			if ctx.Err() == nil {
				return err
			}
			s.say("time is up, after %v", patience)
			break
		}
	}
	preview := o.Version != exchange.V2010SP2 // item:Preview came with Exchange 2013
	return s.end(sent, preview)
}

// say prints a line with the time since the story began.
func (s *story) say(format string, args ...any) {
	fmt.Fprintf(s.out, "%7.3f s  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// follow takes journal entries, and tells what is no mail.
func (s *story) follow(entries []journal.Entry) {
	for _, e := range entries {
		s.seq = e.Seq
		for _, told := range s.trail.follow(e) {
			if n, ok := told.(newsEvent); ok {
				fmt.Fprintf(s.out, "%7.3f s  %s\n", n.At.Sub(s.began).Seconds(), n.Text)
			}
		}
	}
}

// await follows the journal until reached says so.
func (s *story) await(ctx context.Context, reached func() bool) error {
	for !reached() {
		entries := s.lab.World.Journal.Wait(ctx, s.seq)
		if len(entries) == 0 {
			return ctx.Err()
		}
		s.follow(entries)
	}
	return nil
}

// mail sends a letter to everybody and prints how it got to each device. It
// fails when ctx ends before it is on all of them.
func (s *story) mail(ctx context.Context, number int, l letter, to []string) error {
	began := time.Now()
	if err := send(ctx, s.lab.SMTP(), l.Address, to, l.Raw); err != nil {
		return fmt.Errorf("letter %d: %w", number, err)
	}
	took := time.Since(began)
	err := s.await(ctx, func() bool {
		for _, d := range s.lab.Devices {
			if m := s.trail.find(l.ID, d.Mailbox); m == nil || len(m.shown[d.ID]) == 0 {
				return false
			}
		}
		return true
	})
	s.printLetter(number, l, len(to), took)
	return err
}

func (s *story) printLetter(number int, l letter, mailboxes int, took time.Duration) {
	from := l.Address
	if l.Name != "" {
		from = l.Name + " <" + l.Address + ">"
	}
	fmt.Fprintf(s.out, "\n%d. Mail with %s\n   from %s, subject \"%s\", %s, by SMTP to %s in %s\n\n",
		number, l.About, from, clip(l.Subject), size(len(l.Raw)), count(mailboxes, "mailbox"), millis(took))
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "   device\tmailbox\ttold\tread\tpush accepted\tshows\n")
	for _, d := range s.lab.Devices {
		m := s.trail.find(l.ID, d.Mailbox)
		if m == nil {
			fmt.Fprintf(w, "   %s\t%s\tnot in the mailbox\n", d.Name, d.Mailbox)
			continue
		}
		shows := "nothing"
		if p := m.shown[d.ID]; len(p) > 0 {
			var parts []string
			for _, line := range p[0].Lines {
				parts = append(parts, clip(line))
			}
			shows = strings.Join(parts, " | ")
		}
		fmt.Fprintf(w, "   %s\t%s\t%s\t%s\t%s\t%s\n", d.Name, d.Mailbox, at(m.hop(hopTold, "")), at(m.hop(hopRead, "")), at(m.hop(hopPush, d.ID)), shows)
	}
	_ = w.Flush() // as with every other line: a reader that went away is no failure
	for _, d := range s.lab.Devices {
		if m := s.trail.find(l.ID, d.Mailbox); m != nil {
			for _, h := range m.Hops {
				if h.Kind == hopBad && h.Device == d.ID {
					fmt.Fprintf(s.out, "   %s after %s, %s\n", h.Name, millis(h.After), count(h.Times, "time"))
				}
			}
		}
	}
}

// end prints the verdict.
func (s *story) end(sent []letter, preview bool) error {
	s.follow(s.lab.World.Journal.After(s.seq))
	fmt.Fprintln(s.out)
	v := judge(s.trail, s.lab.Devices, sent, preview)
	s.say("%d mails to %s, %s: %d of %d pushes accepted, %s with the same ID",
		len(sent), count(len(s.lab.Mailboxes()), "mailbox"), count(len(s.lab.Devices), "device"), v.Accepted, v.Expected, count(v.Repeats, "repeat"))
	s.say("mail → push: p50 %s, longest %s", millis(v.median()), millis(v.longest()))
	for _, f := range v.Findings {
		s.say("WRONG  %s", f)
	}
	if !v.OK() {
		s.say("The promise was not kept.")
		return errJudged
	}
	s.say("Every push arrived, and says what was mailed, character by character.")
	return nil
}

// at is when a hop was reached.
func at(h *hop) string {
	if h == nil {
		return "–"
	}
	return millis(h.After)
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

func size(n int) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f kB", float64(n)/(1<<10))
}

// clip is the beginning of a long text, and how long it is.
func clip(s string) string {
	r := []rune(s)
	if len(r) <= shownMax {
		return s
	}
	return fmt.Sprintf("%s… (%d characters)", string(r[:shownMax]), len(r))
}
