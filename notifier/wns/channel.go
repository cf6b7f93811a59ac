package wns

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// HostSuffix is what a channel's host ends with. The name before it may change
// at any time; only this much is promised (WNS overview, "Requesting a
// notification channel").
const HostSuffix = ".notify.windows.com"

// ErrNotAChannel is wrapped by every refusal of CheckChannel.
var ErrNotAChannel = errors.New("not a WNS channel URI")

// CheckChannel is the acceptance rule for channel URIs: printable ASCII of at
// most ChannelMax bytes, https on port 443, a host below notify.windows.com,
// and a token in the query. The access token is sent to whatever passes. The
// error says what is wrong and never quotes the URI.
func CheckChannel(uri string) error {
	_, err := parseChannel(uri)
	return err
}

func refuse(text string) error { return fmt.Errorf("wns: channel: %w: %s", ErrNotAChannel, text) }

// parseChannel checks and splits a URI. The query of the result is the text as
// it was given: re-encoding its escapes makes WNS answer 404.
func parseChannel(uri string) (*url.URL, error) {
	if uri == "" {
		return nil, refuse("empty")
	}
	if len(uri) > ChannelMax {
		return nil, refuse(fmt.Sprintf("%d bytes, at most %d", len(uri), ChannelMax))
	}
	for i := range len(uri) {
		if c := uri[i]; c <= ' ' || c >= 0x7f || c == '\\' {
			return nil, refuse("a character that is not printable ASCII, a space or a backslash")
		}
	}
	const scheme = "https://"
	if !strings.HasPrefix(uri, scheme) {
		return nil, refuse("the scheme is not https")
	}
	if strings.Contains(uri, "#") {
		return nil, refuse("it has a fragment")
	}
	u, err := url.Parse(uri)
	if err != nil || u.Opaque != "" {
		return nil, refuse("it cannot be parsed as a URI")
	}
	if u.User != nil || strings.Contains(u.Host, "@") {
		return nil, refuse("it has user information")
	}
	if err := checkHost(u); err != nil {
		return nil, err
	}
	switch {
	case u.Path == "/w/" || u.Path == "/w":
		return nil, refuse("it is a web push address of the Edge browser, not an app's channel")
	case u.Path != "" && u.Path != "/", u.RawPath != "":
		return nil, refuse("it has a path")
	case !hasToken(u.RawQuery):
		return nil, refuse("it has no token in its query")
	}
	return u, nil
}

func checkHost(u *url.URL) error {
	host, port, named := strings.Cut(strings.ToLower(u.Host), ":")
	if named && port != "443" {
		return refuse("the port is not 443")
	}
	if _, err := netip.ParseAddr(strings.Trim(u.Hostname(), "[]")); err == nil {
		return refuse("the host is an IP address")
	}
	for i := range len(host) {
		if c := host[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return refuse("the host has a character that host names do not have")
		}
	}
	label, ok := strings.CutSuffix(host, HostSuffix)
	if !ok || label == "" || strings.HasPrefix(label, ".") || strings.HasSuffix(label, ".") || strings.Contains(label, "..") {
		return refuse("the host is not below " + HostSuffix[1:])
	}
	return nil
}

// hasToken looks for token=… in the raw query. Its value may hold escapes that
// are not valid, as in Microsoft's own sample, so it is not decoded.
func hasToken(query string) bool {
	for part := range strings.SplitSeq(query, "&") {
		if value, ok := strings.CutPrefix(part, "token="); ok && value != "" {
			return true
		}
	}
	return false
}
