package fakedevice

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"mailbell/fakes/journal"
)

// answerMax bounds what is read of an answer.
const answerMax = 4 << 20

// APNs is the push address of an iPhone app.
type APNs struct {
	Token       string `json:"token"`
	Topic       string `json:"topic"`
	Environment string `json:"environment"`
}

// WNS is the push address of a Windows app.
type WNS struct {
	Channel string `json:"channel"`
	App     string `json:"app,omitempty"`
	Badge   bool   `json:"badge,omitempty"`
}

// Device is an app on a device. Set the fields, then use it from one goroutine
// at a time.
type Device struct {
	ID      string
	Mailbox string
	Locale  string // BCP 47
	APNs    *APNs  // an iPhone, or
	WNS     *WNS   // a Windows device

	// ClaimedMailbox is what the credential says; empty: Mailbox. It differs for
	// an app that asks for what it was not enrolled for.
	ClaimedMailbox string

	Service   string           // base URL of the registration service
	Client    *http.Client     // reaches it
	Authority *Authority       // enrolled by
	Journal   *journal.Journal // nil: nothing is recorded
}

// Error is the registration service's refusal (RFC 9457, problem details).
type Error struct {
	Status int    `json:"status"`
	Type   string `json:"type"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Errors []struct {
		Field  string `json:"field"`
		Detail string `json:"detail"`
	} `json:"errors"`
}

func (e *Error) Error() string {
	return fmt.Sprintf("%d %s: %s %v", e.Status, e.Title, e.Detail, e.Errors)
}

// Outcome is what the service tells of one mail.
type Outcome struct {
	Notification string    `json:"notification"`
	Push         string    `json:"push"`
	Mailbox      string    `json:"mailbox"`
	Item         string    `json:"item"`
	Verdict      string    `json:"verdict"`
	Reason       string    `json:"reason"`
	Status       int       `json:"status"`
	At           time.Time `json:"at"`
}

// Platform is "ios" or "windows".
func (d *Device) Platform() string {
	if d.WNS != nil {
		return "windows"
	}
	return "ios"
}

// Address is the device token or channel URI.
func (d *Device) Address() string {
	if d.WNS != nil {
		return d.WNS.Channel
	}
	if d.APNs != nil {
		return d.APNs.Token
	}
	return ""
}

// Register registers the device for its mailbox, or renews the registration.
// A refusal is an *Error.
func (d *Device) Register(ctx context.Context) error {
	body, err := json.Marshal(struct {
		Platform string `json:"platform"`
		Mailbox  string `json:"mailbox"`
		Locale   string `json:"locale,omitempty"`
		APNs     *APNs  `json:"apns,omitempty"`
		WNS      *WNS   `json:"wns,omitempty"`
	}{d.Platform(), d.Mailbox, d.Locale, d.APNs, d.WNS})
	if err != nil {
		return err
	}
	d.record("register", 0)
	status, _, err := d.do(ctx, http.MethodPut, "", body)
	d.record("registered", status)
	return err
}

// Wipe ends the registration, as the removal of the app does.
func (d *Device) Wipe(ctx context.Context) error {
	d.record("wipe", 0)
	status, _, err := d.do(ctx, http.MethodDelete, "", nil)
	d.record("wiped", status)
	return err
}

// Registered asks whether the service knows the device.
func (d *Device) Registered(ctx context.Context) (bool, error) {
	status, _, err := d.do(ctx, http.MethodGet, "", nil)
	if status == http.StatusNotFound {
		return false, nil
	}
	return err == nil, err
}

// Notifications asks what became of the device's mails, newest first.
func (d *Device) Notifications(ctx context.Context) ([]Outcome, error) {
	_, body, err := d.do(ctx, http.MethodGet, "/notifications?limit=1000", nil)
	if err != nil {
		return nil, err
	}
	var out struct {
		Notifications []Outcome `json:"notifications"`
	}
	return out.Notifications, json.Unmarshal(body, &out)
}

// do makes a request with a fresh credential. The status is 0 without an
// answer.
func (d *Device) do(ctx context.Context, method, path string, body []byte) (int, []byte, error) {
	mailbox := d.ClaimedMailbox
	if mailbox == "" {
		mailbox = d.Mailbox
	}
	credential, err := d.Authority.Mint(Claims{Device: d.ID, Mailbox: mailbox})
	if err != nil {
		return 0, nil, err
	}
	r, err := http.NewRequestWithContext(ctx, method, d.Service+"/v1/devices/"+d.ID+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+credential)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := d.Client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerMax))
	if err != nil {
		return resp.StatusCode, nil, err
	}
	if resp.StatusCode/100 != 2 {
		refusal := &Error{Status: resp.StatusCode}
		return resp.StatusCode, nil, errors.Join(refusal.read(text), refusal)
	}
	return resp.StatusCode, text, nil
}

// read fills the refusal from a problem document, if it is one.
func (e *Error) read(text []byte) error {
	if err := json.Unmarshal(text, e); err != nil {
		return fmt.Errorf("fakedevice: answer is no problem document: %w", err)
	}
	return nil
}

func (d *Device) record(kind string, status int) {
	if d.Journal == nil {
		return
	}
	d.Journal.Append(journal.Entry{
		Server: "device", Kind: kind, Device: d.ID, Mailbox: strings.ToLower(d.Mailbox), Status: status,
		Detail: map[string]string{"platform": d.Platform(), "address": d.Address()},
	})
}
