package ews

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

// The opaque identifiers. They are compared byte for byte and never logged as
// addresses (EWS "EWS identifiers in Exchange": case-sensitive).
type (
	SubscriptionID string
	ItemID         string
	SyncState      string
)

// Options is what a Client needs.
type Options struct {
	// URL of the service, https://host/EWS/Exchange.asmx.
	URL string
	// Transport sends ordinary requests with credentials. It must not follow
	// redirects.
	Transport http.RoundTripper
	// StreamTransport sends GetStreamingEvents, which keeps a connection for
	// minutes; nil: Transport.
	StreamTransport http.RoundTripper
	Version         Version       // empty: Exchange2013_SP1
	UserAgent       string        // empty: "Mailbell"
	RequestTimeout  time.Duration // of an ordinary request with its answer; 0: RequestTimeoutDefault
	Logger          *slog.Logger  // nil: silent
}

// Client speaks to one EWS URL. It is safe for concurrent use.
type Client struct{ opt Options }

// NewClient checks the options. It does no network traffic.
func NewClient(o Options) (*Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.User != nil {
		return nil, fmt.Errorf("ews: URL %q: want https://host/EWS/Exchange.asmx", o.URL)
	}
	if o.Transport == nil {
		return nil, errors.New("ews: Transport: missing")
	}
	if o.StreamTransport == nil {
		o.StreamTransport = o.Transport
	}
	if o.Version == "" {
		o.Version = Exchange2013SP1
	}
	if o.UserAgent == "" {
		o.UserAgent = "Mailbell"
	}
	if o.RequestTimeout == 0 {
		o.RequestTimeout = RequestTimeoutDefault
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Client{o}, nil
}

// Caller says for whom a request is made and where it goes.
type Caller struct {
	Impersonate string    // SMTP address of the mailbox acted for; empty: the account itself
	Anchor      string    // X-AnchorMailbox; empty: Impersonate
	Affinity    *Affinity // cookies of the group; nil: none
}

// request builds an HTTP request whose body can be sent again.
func (c *Client) request(ctx context.Context, who Caller, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.opt.URL, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ews: %w", err)
	}
	h := r.Header
	h.Set("Content-Type", "text/xml; charset=utf-8")
	h.Set("Accept", "text/xml")
	h.Set("Accept-Encoding", "identity") // no layer may compress or hold back a stream
	h.Set("User-Agent", c.opt.UserAgent)
	h.Set("client-request-id", requestID())
	h.Set("return-client-request-id", "true")
	anchor := who.Anchor
	if anchor == "" {
		anchor = who.Impersonate
	}
	if anchor != "" {
		h.Set("X-AnchorMailbox", anchor)
	}
	who.Affinity.apply(r)
	return r, nil
}

// call makes an ordinary request and returns the Body's child of the answer.
func (c *Client) call(ctx context.Context, who Caller, operation string, body []byte) (*node, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opt.RequestTimeout)
	defer cancel()
	r, err := c.request(ctx, who, body)
	if err != nil {
		return nil, err
	}
	resp, err := c.opt.Transport.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("ews: %s: %w", operation, err)
	}
	defer resp.Body.Close()
	who.Affinity.keep(resp)
	text, err := readAll(resp.Body, AnswerMax)
	if err != nil {
		return nil, fmt.Errorf("ews: %s: %w", operation, err)
	}
	doc, err := answer(resp, text)
	if err != nil {
		return nil, fmt.Errorf("ews: %s: %w", operation, err)
	}
	return doc, nil
}

// answer finds the payload of an ordinary answer, or the error it stands for.
func answer(resp *http.Response, text []byte) (*node, error) {
	looksXML := bytes.HasPrefix(bytes.TrimLeft(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), " \t\r\n"), []byte("<")) && !looksHTML(text)
	if !looksXML {
		return nil, httpError(resp)
	}
	doc, err := parse(text)
	if err != nil {
		if resp.StatusCode != http.StatusOK {
			return nil, httpError(resp)
		}
		return nil, err
	}
	body := doc.find("Body")
	if f := body.child("Fault"); f != nil {
		return nil, faultError(f, resp.StatusCode)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, httpError(resp)
	}
	if body == nil || len(body.kids) == 0 {
		return nil, errors.New("answer without a SOAP body")
	}
	return body.kids[0], nil
}

func looksHTML(text []byte) bool {
	head := bytes.ToLower(text[:min(len(text), 512)])
	return bytes.Contains(head, []byte("<html")) || bytes.Contains(head, []byte("<!doctype html"))
}

// readAll reads a body of at most most bytes.
func readAll(r io.Reader, most int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > most {
		return nil, fmt.Errorf("answer of more than %d bytes", most)
	}
	return text, nil
}

// requestID is a random UUID, to be found again in the server's logs.
func requestID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// messages are the response messages of an answer, each checked to be a
// success; the error of the first that is not, with the messages, otherwise.
func messages(payload *node) []*node {
	if m := payload.child("ResponseMessages"); m != nil {
		return m.kids
	}
	return nil
}

// only is the single response message of an answer.
func only(operation string, payload *node) (*node, error) {
	list := messages(payload)
	if len(list) != 1 {
		return nil, fmt.Errorf("ews: %s: %d response messages, want 1", operation, len(list))
	}
	if err := messageError(list[0]); err != nil {
		return nil, fmt.Errorf("ews: %s: %w", operation, err)
	}
	return list[0], nil
}

// parseTime reads an xs:dateTime; zero when there is none.
func parseTime(s string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
