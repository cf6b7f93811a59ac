package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"golang.org/x/text/language"

	"mailbell/notifier"
)

// Platforms of a device, and with them the provider that reaches it.
const (
	platformIOS     = "ios"
	platformWindows = "windows"
)

// localeDefault is what a registration without locale reads.
const localeDefault = "en"

// parse reads the registration of a device from a request body. Created and
// Confirmed are left to the caller.
func (a *API) parse(body []byte, id notifier.DeviceID) (notifier.Registration, *problem) {
	c := &complaints{}
	o, err := object(body, "", c, "device", "platform", "mailbox", "locale", "apns", "wns")
	if err != nil {
		return notifier.Registration{}, malformedBody.with(err.Error())
	}
	r := notifier.Registration{Device: id}
	if d := c.text(o, "", "device", false); d != "" && d != string(id) {
		c.add("device", "differs from the device in the path; write the same or leave it out")
	}
	if m := c.text(o, "", "mailbox", true); m != "" {
		if r.Mailbox, err = notifier.ParseMailbox(m); err != nil {
			c.add("mailbox", "want the primary address of a mailbox, such as ada@contoso.test")
		}
	}
	r.Locale = parseLocale(c.text(o, "", "locale", false), c)
	switch p := c.text(o, "", "platform", true); p {
	case "":
	case platformIOS:
		r.Provider = notifier.APNs
		r.APNs = parseAPNs(address(o, "apns", "wns", p, c), c)
	case platformWindows:
		r.Provider = notifier.WNS
		r.WNS = a.parseWNS(address(o, "wns", "apns", p, c), c)
	default:
		c.add("platform", "want ios or windows")
	}
	if len(c.list) > 0 {
		return notifier.Registration{}, invalidRegistration.with("see errors for the fields to repair", c.list...)
	}
	return r, nil
}

// address is the member with the push address that fits the platform.
func address(o map[string]json.RawMessage, wanted, other, platform string, c *complaints) json.RawMessage {
	if _, given := o[other]; given {
		c.add(other, fmt.Sprintf("does not fit the platform %s; leave it out and give %s", platform, wanted))
	}
	raw, given := o[wanted]
	if !given {
		c.add(wanted, "missing: the push address of a device of the platform "+platform)
	}
	return raw
}

func parseAPNs(raw json.RawMessage, c *complaints) *notifier.APNsAddress {
	if raw == nil {
		return nil
	}
	o, err := object(raw, "apns.", c, "token", "topic", "environment")
	if err != nil {
		c.add("apns", err.Error())
		return nil
	}
	a := notifier.APNsAddress{
		Token: notifier.DeviceToken(strings.ToLower(c.text(o, "apns.", "token", true))),
		Topic: c.text(o, "apns.", "topic", true), Environment: notifier.Environment(c.text(o, "apns.", "environment", true)),
	}
	if n := len(a.Token); n > 0 && (n < tokenDigitsMin || n > tokenDigitsMax || n%2 != 0 || strings.Trim(string(a.Token), "0123456789abcdef") != "") {
		c.add("apns.token", fmt.Sprintf("want the device token as an even number of hex digits, %d to %d", tokenDigitsMin, tokenDigitsMax))
	}
	if a.Topic != "" && !isTopic(a.Topic) {
		c.add("apns.topic", "want the bundle ID of the app: letters, digits, hyphens and periods, at most 155 characters")
	}
	if a.Environment != "" && a.Environment != notifier.Production && a.Environment != notifier.Development {
		c.add("apns.environment", "want production or development")
	}
	return &a
}

// isTopic accepts bundle IDs (Apple "CFBundleIdentifier").
func isTopic(s string) bool {
	if len(s) > topicLenMax || strings.HasPrefix(s, ".") || strings.HasSuffix(s, ".") || strings.Contains(s, "..") {
		return false
	}
	return isWord(s, "-.")
}

func isWord(s, others string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return true
}

func (a *API) parseWNS(raw json.RawMessage, c *complaints) *notifier.WNSAddress {
	if raw == nil {
		return nil
	}
	o, err := object(raw, "wns.", c, "channel", "app", "badge")
	if err != nil {
		c.add("wns", err.Error())
		return nil
	}
	w := notifier.WNSAddress{
		Channel: notifier.ChannelURI(c.text(o, "wns.", "channel", true)),
		App:     c.text(o, "wns.", "app", false), Badge: c.truth(o, "wns.", "badge"),
	}
	if w.Channel != "" {
		if err := a.opt.CheckChannel(string(w.Channel)); err != nil {
			c.add("wns.channel", "want the channel URI as Windows gave it: "+err.Error())
		}
	}
	if len(w.App) > appLenMax || !isWord(w.App, "-._") {
		c.add("wns.app", fmt.Sprintf("want the name of the app in the service's configuration: letters, digits and -._, at most %d", appLenMax))
	}
	return &w
}

// parseLocale brings a language tag into its canonical form.
func parseLocale(s string, c *complaints) string {
	if s == "" {
		return localeDefault
	}
	if len(s) <= localeLenMax {
		if tag, err := language.Parse(s); err == nil {
			return tag.String()
		}
	}
	c.add("locale", "want a BCP 47 language tag, such as en-GB or ja")
	return ""
}

// answer is a registration as it is told to clients: push addresses are
// shortened.
type answer struct {
	Device    notifier.DeviceID `json:"device"`
	Platform  string            `json:"platform"`
	Mailbox   notifier.Mailbox  `json:"mailbox"`
	Locale    string            `json:"locale"`
	APNs      *answerAPNs       `json:"apns,omitempty"`
	WNS       *answerWNS        `json:"wns,omitempty"`
	Created   time.Time         `json:"created"`
	Confirmed time.Time         `json:"confirmed"`
}

type answerAPNs struct {
	Token       string               `json:"token"`
	Topic       string               `json:"topic"`
	Environment notifier.Environment `json:"environment"`
}

type answerWNS struct {
	Channel string `json:"channel"`
	App     string `json:"app,omitempty"`
	Badge   bool   `json:"badge"`
}

func newAnswer(r notifier.Registration) answer {
	out := answer{
		Device: r.Device, Platform: platformIOS, Mailbox: r.Mailbox, Locale: r.Locale,
		Created: r.Created.UTC(), Confirmed: r.Confirmed.UTC(),
	}
	if r.APNs != nil {
		out.APNs = &answerAPNs{r.APNs.Token.String(), r.APNs.Topic, r.APNs.Environment}
	}
	if r.WNS != nil {
		out.Platform = platformWindows
		out.WNS = &answerWNS{r.WNS.Channel.String(), r.WNS.App, r.WNS.Badge}
	}
	return out
}
