package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"mailbell/notifier/app"
	"mailbell/notifier/config"
)

// adminAnswerMax bounds what is read of an answer of the admin service.
const adminAnswerMax = 16 << 20

// adminTimeout bounds one question.
const adminTimeout = 10 * time.Second

type explainCommand struct {
	Mailbox string `arg:"" help:"The mailbox's address."`
	Config  string `required:"" placeholder:"FILE" help:"The configuration file of the instance that runs."`
	JSON    bool   `name:"json" help:"Print everything, as JSON."`
}

// Run asks the instance that runs how a mailbox is doing.
func (c explainCommand) Run(ctx context.Context, s *streams) error {
	var e app.Explanation
	raw, err := ask(ctx, c.Config, "/v1/mailboxes/"+url.PathEscape(c.Mailbox), &e)
	if err != nil {
		return err
	}
	if c.JSON {
		_, err = s.out.Write(raw)
		return err
	}
	return explain(s.out, e, time.Now())
}

type statusCommand struct {
	Config string `required:"" placeholder:"FILE" help:"The configuration file of the instance that runs."`
}

// Run prints how the instance that runs is doing.
func (c statusCommand) Run(ctx context.Context, s *streams) error {
	raw, err := ask(ctx, c.Config, "/v1/status", &app.Status{})
	if err == nil {
		_, err = s.out.Write(raw)
	}
	return err
}

// ask puts a question to the admin service of the instance that runs with the
// configuration file.
func ask(ctx context.Context, file, path string, answer any) ([]byte, error) {
	at, err := config.AdminAddress(file)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+path, nil)
	if err != nil {
		return nil, fmt.Errorf("admin service: %w", err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy: it is this host
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("no instance answers at %s (admin.listen of %s); is it running?: %w", at, file, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, adminAnswerMax))
	switch {
	case err != nil:
		return nil, fmt.Errorf("admin service: %w", err)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("admin service: %s", strings.TrimSpace(string(body)))
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return nil, fmt.Errorf("admin service: the answer is of another version: %w", err)
	}
	return body, nil
}

// explain prints an explanation for people.
func explain(out io.Writer, e app.Explanation, now time.Time) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		if text := fmt.Sprintf(format, args...); text != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, text)
		}
	}
	ago := func(at time.Time) string {
		if at.IsZero() {
			return "never"
		}
		return fmt.Sprintf("%s (%s ago)", at.UTC().Format("2006-01-02 15:04:05 UTC"), now.Sub(at).Round(time.Second))
	}
	line("mailbox", "%s", e.Mailbox)
	line("verdict", "%s", verdict(e))
	for _, d := range e.Devices {
		line("device", "%s (%s), registered %s", d.ID, d.Provider, ago(d.Created))
	}
	if w := e.Watch; w != nil {
		line("state", "%s since %s", w.State, ago(w.Since))
		line("next", "%s", w.Next)
		if w.LastError != "" {
			line("last error", "%s; %d failures in a row", w.LastError, w.Failures)
		}
		line("account", "%s", w.Account)
		line("EWS", "%s", strings.TrimSpace(w.URL+" "+w.Site+" "+w.Server))
		if !w.Subscribed.IsZero() {
			line("subscription", "made %s, in group %s", ago(w.Subscribed), w.Group)
		}
		if s := w.Stream; s != nil {
			line("stream", "of %d subscriptions, opened %s, charged to %s", s.Subscriptions, ago(s.Opened), s.ChargedTo)
			line("last heartbeat", "%s", ago(s.Heard))
		}
		line("last new mail", "%s", ago(w.LastEvent))
		line("last comparison", "%s", ago(w.Compared))
		if w.Pending > 0 {
			line("waiting", "%d events", w.Pending)
		}
		for _, h := range w.History {
			line("history", "%s  %s → %s: %s", h.At.UTC().Format("15:04:05.000 UTC"), cmp.Or(string(h.From), "new"), h.To, h.Why)
		}
	}
	for _, r := range e.Receipts {
		line("receipt", "%s  %s to %s: %s (%s), item %s", r.At.UTC().Format("2006-01-02 15:04:05 UTC"), r.Provider, r.Device, r.Verdict, r.Reason, tail(string(r.Item)))
	}
	if e.Trouble != "" {
		line("receipts", "could not be read: %s", e.Trouble)
	}
	return t.Flush()
}

// verdict is the explanation in one sentence.
func verdict(e app.Explanation) string {
	switch w := e.Watch; {
	case !e.Approved:
		return "not served: no rule of the policy approves the mailbox"
	case len(e.Devices) == 0:
		return "not served: no device is registered for it"
	case w == nil:
		return "not watched by this instance: it does not play the extender's role, or has just started"
	case w.Stream != nil && w.State == "streaming":
		return "all is well: new mail is announced within a moment"
	case w.LastError != "":
		return "mail is not announced now and will be caught up: " + w.LastError
	default:
		return "on its way to being heard: mail is caught up"
	}
}

// tail is enough of an ID to tell two apart.
func tail(id string) string {
	const keep = 12
	if len(id) <= keep {
		return id
	}
	return "…" + id[len(id)-keep:]
}
