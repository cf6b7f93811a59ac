package control

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/emersion/go-message/mail"
)

// Limits of what the control API takes in.
const (
	BodyMax       = 40 << 20 // a raw message of 30 MB and its JSON escapes
	RecipientsMax = 20_000   // an all-hands mail
)

// Letter is a mail to be delivered. Either Raw is a whole RFC 5322 message, or
// Subject and Body make one.
type Letter struct {
	To      []string `json:"to"`
	From    string   `json:"from"` // address, or Name <address>
	Subject string   `json:"subject"`
	Body    string   `json:"body"`
	Raw     string   `json:"raw"`
}

// Message is the letter as an RFC 5322 message.
func (l Letter) Message() (sender string, raw []byte, err error) {
	switch {
	case len(l.To) == 0:
		return "", nil, fmt.Errorf("to: at least one address is needed")
	case len(l.To) > RecipientsMax:
		return "", nil, fmt.Errorf("to: %d addresses, at most %d", len(l.To), RecipientsMax)
	case l.Raw != "" && (l.Subject != "" || l.Body != ""):
		return "", nil, fmt.Errorf("raw: give a raw message, or subject and body, not both")
	}
	from, err := mail.ParseAddress(l.From)
	if err != nil {
		if l.Raw == "" || l.From != "" {
			return "", nil, fmt.Errorf("from: %w", err)
		}
		from = &mail.Address{}
	}
	if l.Raw != "" {
		return from.Address, []byte(l.Raw), nil
	}
	var h mail.Header
	h.SetDate(time.Now().UTC())
	h.SetAddressList("From", []*mail.Address{from})
	to := make([]*mail.Address, 0, min(len(l.To), 20))
	for _, a := range l.To[:min(len(l.To), 20)] {
		to = append(to, &mail.Address{Address: a})
	}
	h.SetAddressList("To", to)
	h.SetSubject(l.Subject)
	if err := h.GenerateMessageIDWithHostname(domainOf(from.Address)); err != nil {
		return "", nil, err
	}
	h.SetContentType("text/plain", map[string]string{"charset": "utf-8"})
	h.Set("Content-Transfer-Encoding", "quoted-printable")
	var b bytes.Buffer
	w, err := mail.CreateSingleInlineWriter(&b, h)
	if err != nil {
		return "", nil, err
	}
	if _, err := io.WriteString(w, l.Body); err != nil {
		return "", nil, err
	}
	if err := w.Close(); err != nil {
		return "", nil, err
	}
	return from.Address, b.Bytes(), nil
}

func domainOf(address string) string {
	if _, d, ok := strings.Cut(address, "@"); ok {
		return d
	}
	return "example.test"
}
