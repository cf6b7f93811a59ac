package loadgen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/smtp"
	"slices"
	"strings"
	"time"
)

// Letter is a mail to be sent.
type Letter struct {
	To      []string `json:"to"`
	From    string   `json:"from"`
	Subject string   `json:"subject"`
	Body    string   `json:"body"`
}

// Entrance is a way for mail into the organisation. Safe for concurrent use.
type Entrance interface {
	// Send returns when the letter is in every recipient's mailbox.
	Send(ctx context.Context, l Letter) error
}

// The names of the entrances.
const (
	ByControl = "control"
	BySMTP    = "smtp"
)

var (
	_ Entrance = (*control)(nil)
	_ Entrance = (*smtpEntrance)(nil)
)

// Send delivers by the control API.
func (c *control) Send(ctx context.Context, l Letter) error {
	var out struct {
		Delivered []struct{ Mailbox, Error string }
	}
	if err := c.do(ctx, http.MethodPost, "/mail", "", l, &out); err != nil {
		return err
	}
	for _, d := range out.Delivered {
		if d.Error != "" {
			return fmt.Errorf("mail to %s: %s", d.Mailbox, d.Error)
		}
	}
	return nil
}

// smtpEntrance sends by SMTP and keeps its connections.
type smtpEntrance struct {
	addr string
	idle chan *smtp.Client
}

func newSMTPEntrance(addr string, workers int) *smtpEntrance {
	return &smtpEntrance{addr, make(chan *smtp.Client, workers)}
}

// Send sends the letter, in as many transactions as it takes.
func (e *smtpEntrance) Send(ctx context.Context, l Letter) error {
	for to := range slices.Chunk(l.To, smtpRecipients) {
		c, err := e.connection(ctx)
		if err != nil {
			return err
		}
		if err := transact(c, l, to); err != nil {
			return errors.Join(err, c.Close())
		}
		select {
		case e.idle <- c:
		default:
			_ = c.Quit() // one too many; its mail has been taken
		}
	}
	return nil
}

func (e *smtpEntrance) connection(ctx context.Context) (*smtp.Client, error) {
	select {
	case c := <-e.idle:
		return c, nil
	default:
	}
	d := net.Dialer{Timeout: callTimeout}
	conn, err := d.DialContext(ctx, "tcp", e.addr)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(e.addr)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

// Close ends the idle connections.
func (e *smtpEntrance) Close() {
	for {
		select {
		case c := <-e.idle:
			_ = c.Quit() // all it carried has been answered
		default:
			return
		}
	}
}

func transact(c *smtp.Client, l Letter, to []string) error {
	if err := c.Mail(l.From); err != nil {
		return err
	}
	for _, a := range to {
		if err := c.Rcpt(a); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\n\r\n%s\r\n",
		l.From, strings.Join(to[:min(len(to), 20)], ", "), l.Subject, time.Now().Format(time.RFC1123Z), l.Body)
	return errors.Join(err, w.Close())
}
