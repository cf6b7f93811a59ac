// Package fakesmtp is the SMTP entrance of the organisation: what a mail
// client or another mail server sends arrives in the mailboxes of
// [mailbell/fakes/exchange] as real RFC 5322 messages. No authentication is
// asked for, as an edge server asks none for mail to its own domains.
//
// What comes in is mail of any content, broken MIME included; what goes out is
// a delivery to each recipient. Promised: an address without a mailbox is
// refused at RCPT (550 5.1.1), a message above the limit after its data (552
// 5.3.4, the session goes on), and 250 means that every recipient's mailbox
// holds the item. Every transaction is journalled: server "smtp", kind "mail",
// status and reason, never content.
//
// Not modelled: relaying to other domains, TLS, authentication, delivery
// reports, spam filtering, and queues: a mailbox removed between RCPT and the
// end of DATA loses its copy, as the journal tells.
package fakesmtp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"mailbell/fakes/exchange"
	"mailbell/fakes/journal"
)

const (
	// MaxBytesDefault is Exchange's usual limit with the overhead of base64
	// left out: 30 MB.
	MaxBytesDefault = 30 << 20
	// recipientsMax: Exchange "MaxRecipientsPerMessage" of a receive connector
	// is 200 for anonymous senders.
	recipientsMax = 200
	// lineMax: RFC 5321 "Text Line" says 1000 bytes with CR LF; real mail
	// exceeds it, and broken mail must be accepted.
	lineMax      = 1 << 20
	readTimeout  = 5 * time.Minute // RFC 5321 "Timeouts": 5 minutes for a command
	writeTimeout = time.Minute
)

// Options configure the entrance. Organisation is required.
type Options struct {
	Organisation *exchange.Organisation
	Journal      *journal.Journal // nil: nothing is recorded
	MaxBytes     int64            // of one message; 0: MaxBytesDefault
	Domain       string           // name in the greeting; empty: the organisation's front end
	Logger       *slog.Logger     // nil: discard
}

// Server is an SMTP server. It is safe for concurrent use.
type Server struct {
	options Options
	smtp    *smtp.Server
}

// New returns a server that delivers into options.Organisation. An error names
// the option that is wrong.
func New(options Options) (*Server, error) {
	if options.MaxBytes <= 0 {
		options.MaxBytes = MaxBytesDefault
	}
	if options.Organisation == nil {
		return nil, errors.New("fakesmtp: Options.Organisation is nil")
	}
	if options.Domain == "" {
		options.Domain = options.Organisation.Host()
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{options: options}
	s.smtp = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{server: s, peer: c.Conn().RemoteAddr().String()}, nil
	}))
	s.smtp.Domain = options.Domain
	s.smtp.MaxRecipients = recipientsMax
	s.smtp.MaxLineLength = lineMax
	s.smtp.ReadTimeout, s.smtp.WriteTimeout = readTimeout, writeTimeout
	s.smtp.EnableSMTPUTF8 = true
	s.smtp.ErrorLog = errorLog{options.Logger}
	// One more than the limit: the library refuses a message that uses its
	// limit up. It reads the rest of what it refuses, so the session goes on.
	s.smtp.MaxMessageBytes = options.MaxBytes + 1
	return s, nil
}

// Serve accepts connections until Close; it then returns nil.
func (s *Server) Serve(l net.Listener) error {
	if err := s.smtp.Serve(l); err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("fakesmtp: %w", err)
	}
	return nil
}

// Close closes listeners and connections.
func (s *Server) Close() error {
	if err := s.smtp.Close(); err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("fakesmtp: %w", err)
	}
	return nil
}

// session is one mail transaction after another on one connection.
type session struct {
	server *Server
	peer   string
	from   string
	to     []string
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from, s.to = from, nil
	return nil
}

var (
	errUnknown = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "RESOLVER.ADR.RecipNotFound; not found"}
	errRelay   = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 54}, Message: "SMTP; Unable to relay recipient in non-accepted domain"}
	// Exchange says 5.3.4 "message size exceeds fixed maximum message size".
	errTooLarge = &smtp.SMTPError{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 3, 4}, Message: "Message size exceeds fixed maximum message size"}
	errAborted  = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 4, 0}, Message: "The message could not be read"}
)

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	org := s.server.options.Organisation
	settings, ok := org.Settings(to)
	if !ok {
		refusal := errUnknown
		if _, domain, at := strings.Cut(to, "@"); at && !accepted(org.Domains(), domain) {
			refusal = errRelay
		}
		s.to = append(s.to[:len(s.to):len(s.to)], to)
		s.record(refusal.Code, refusal.Message, 0)
		s.to = s.to[:len(s.to)-1]
		return refusal
	}
	s.to = append(s.to, settings.Address)
	return nil
}

func accepted(domains []string, domain string) bool {
	for _, d := range domains {
		if strings.EqualFold(d, domain) {
			return true
		}
	}
	return false
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	switch {
	case errors.Is(err, smtp.ErrDataTooLarge) || int64(len(raw)) > s.server.options.MaxBytes:
		s.record(errTooLarge.Code, errTooLarge.Message, len(raw))
		return errTooLarge
	case err != nil:
		s.record(errAborted.Code, errAborted.Message, len(raw))
		return errAborted
	}
	delivered, err := s.server.options.Organisation.Deliver(exchange.Envelope{From: s.from, To: s.to, Raw: raw})
	if err != nil {
		s.record(errAborted.Code, errAborted.Message, len(raw))
		return errAborted
	}
	good := 0
	for _, d := range delivered {
		if d.Err == nil {
			good++
		}
	}
	if good == 0 {
		s.record(errUnknown.Code, errUnknown.Message, len(raw))
		return errUnknown
	}
	s.record(250, "", len(raw))
	return nil
}

func (s *session) Reset() { s.from, s.to = "", nil }

func (s *session) Logout() error { return nil }

func (s *session) record(status int, reason string, size int) {
	if s.server.options.Journal == nil {
		return
	}
	e := journal.Entry{
		Server: "smtp", Kind: "mail", Status: status, Reason: reason,
		Detail: map[string]string{"from": s.from, "to": strings.Join(s.to, ", "), "size": fmt.Sprint(size), "peer": s.peer},
	}
	if len(s.to) > 0 {
		e.Mailbox = strings.ToLower(s.to[len(s.to)-1])
	}
	s.server.options.Journal.Append(e)
}

// errorLog passes the library's complaints on without their content, which may
// quote what clients sent.
type errorLog struct{ logger *slog.Logger }

func (l errorLog) Printf(format string, _ ...any) {
	l.logger.LogAttrs(context.Background(), slog.LevelWarn, "smtp connection failed", slog.String("where", format))
}

func (l errorLog) Println(...any) {
	l.logger.LogAttrs(context.Background(), slog.LevelWarn, "smtp connection failed")
}
