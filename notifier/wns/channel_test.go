package wns

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// channels is the acceptance rule case by case; the good ones have the forms
// that Microsoft's documentation prints.
var channels = map[string]struct {
	uri string
	ok  bool
}{
	"as issued":                       {"https://dm3p.notify.windows.com/?token=AwYAAAB%2fQAhY", true},
	"longer name":                     {"https://wns2-by3p.notify.windows.com/?token=AwYAAABa5cJ3%3d", true},
	"an escape that is none":          {"https://cloud.notify.windows.com/?token=AQE%bU%2f", true},
	"host in capitals":                {"https://DM3P.Notify.Windows.COM/?token=a", true},
	"no path":                         {"https://dm3p.notify.windows.com?token=a", true},
	"port 443":                        {"https://dm3p.notify.windows.com:443/?token=a", true},
	"token after another field":       {"https://dm3p.notify.windows.com/?v=2&token=a", true},
	"two labels":                      {"https://a.b.notify.windows.com/?token=a", true},
	"2,048 bytes":                     {long(2048), true},
	"2,049 bytes":                     {long(2049), false},
	"empty":                           {"", false},
	"http":                            {"http://dm3p.notify.windows.com/?token=a", false},
	"scheme in capitals":              {"HTTPS://dm3p.notify.windows.com/?token=a", false},
	"no scheme":                       {"//dm3p.notify.windows.com/?token=a", false},
	"opaque":                          {"https:dm3p.notify.windows.com/?token=a", false},
	"a space":                         {"https://dm3p.notify.windows.com/?token=a b", false},
	"a line break":                    {"https://dm3p.notify.windows.com/?token=a\r\nHost: x", false},
	"a backslash":                     {`https://evil.example\.notify.windows.com/?token=a`, false},
	"not ASCII":                       {"https://dm3p.notify.windows.com/?token=ä", false},
	"a dot of another script":         {"https://dm3p。notify.windows.com/?token=a", false},
	"user":                            {"https://user@dm3p.notify.windows.com/?token=a", false},
	"user and password":               {"https://dm3p.notify.windows.com:x@evil.example/?token=a", false},
	"empty user":                      {"https://@dm3p.notify.windows.com/?token=a", false},
	"other port":                      {"https://dm3p.notify.windows.com:444/?token=a", false},
	"empty port":                      {"https://dm3p.notify.windows.com:/?token=a", false},
	"port 0443":                       {"https://dm3p.notify.windows.com:0443/?token=a", false},
	"fragment":                        {"https://dm3p.notify.windows.com/?token=a#b", false},
	"empty fragment":                  {"https://dm3p.notify.windows.com/?token=a#", false},
	"the bare domain":                 {"https://notify.windows.com/?token=a", false},
	"only a dot before it":            {"https://.notify.windows.com/?token=a", false},
	"two dots":                        {"https://a..notify.windows.com/?token=a", false},
	"a dot first":                     {"https://.a.notify.windows.com/?token=a", false},
	"a name that ends alike":          {"https://evilnotify.windows.com/?token=a", false},
	"a name that begins alike":        {"https://notify.windows.com.evil.example/?token=a", false},
	"a subdomain that begins alike":   {"https://dm3p.notify.windows.com.evil.example/?token=a", false},
	"a dot at the end":                {"https://dm3p.notify.windows.com./?token=a", false},
	"another Windows host":            {"https://dm3p.wns.windows.com/?token=a", false},
	"an IPv4 address":                 {"https://10.0.0.1/?token=a", false},
	"an IPv6 address":                 {"https://[::1]/?token=a", false},
	"an IPv6 address with a zone":     {"https://[fe80::1%25a.notify.windows.com]/?token=a", false},
	"a number for a host":             {"https://2130706433/?token=a", false},
	"a character hosts do not have":   {"https://a_b.notify.windows.com/?token=a", false},
	"an escape in the host":           {"https://evil.example%2f.notify.windows.com/?token=a", false},
	"a path":                          {"https://dm3p.notify.windows.com/x?token=a", false},
	"an escaped path":                 {"https://dm3p.notify.windows.com/%2f?token=a", false},
	"two slashes":                     {"https://dm3p.notify.windows.com//?token=a", false},
	"web push":                        {"https://dm3p.notify.windows.com/w/?token=a", false},
	"no query":                        {"https://dm3p.notify.windows.com/", false},
	"no token":                        {"https://dm3p.notify.windows.com/?tok=a", false},
	"an empty token":                  {"https://dm3p.notify.windows.com/?token=", false},
	"a token that is part of a name":  {"https://dm3p.notify.windows.com/?mytoken=a", false},
	"token in the path":               {"https://dm3p.notify.windows.com/token=a", false},
	"a question mark inside the host": {"https://evil.example?.notify.windows.com/?token=a", false},
}

func long(n int) string {
	const start = "https://dm3p.notify.windows.com/?token="
	return start + strings.Repeat("a", n-len(start))
}

func TestCheckChannel(t *testing.T) {
	for name, tc := range channels {
		err := CheckChannel(tc.uri)
		if (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && !errors.Is(err, ErrNotAChannel) {
			t.Errorf("%s: %v is not ErrNotAChannel", name, err)
		}
		if err != nil && len(tc.uri) > 8 && strings.Contains(err.Error(), tc.uri[8:]) {
			t.Errorf("%s: the error quotes the URI", name)
		}
	}
}

func FuzzCheckChannel(f *testing.F) {
	for _, tc := range channels {
		f.Add(tc.uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		u, err := parseChannel(uri)
		if err != nil {
			return
		}
		host := strings.ToLower(u.Hostname())
		if u.Scheme != "https" || !strings.HasSuffix(host, ".notify.windows.com") || u.User != nil || u.Fragment != "" {
			t.Errorf("accepted %q", uri)
		}
		if p := u.Port(); p != "" && p != "443" {
			t.Errorf("port %s", p)
		}
		if _, err := netip.ParseAddr(host); err == nil {
			t.Errorf("accepted the address %q", uri)
		}
		// What goes out is what came in.
		if _, query, _ := strings.Cut(uri, "?"); u.RequestURI() != "/?"+query {
			t.Errorf("%q goes out as %q", uri, u.RequestURI())
		}
		// A stricter reader sees the same host.
		if again, err := url.Parse(u.String()); err != nil || again.Host != u.Host {
			t.Errorf("%q: %v", uri, err)
		}
	})
}

func TestSafeDialerRefusesWhatIsNotPublic(t *testing.T) {
	for address, ok := range map[string]bool{
		"20.0.0.1:443": true, "[2603:1030::1]:443": true, "[::ffff:20.0.0.1]:443": true, "[64:ff9b::1400:1]:443": true,
		"10.1.2.3:443": false, "172.16.0.1:443": false, "192.168.1.1:443": false, "127.0.0.1:443": false, "127.9.9.9:443": false,
		"169.254.169.254:443": false, "224.0.0.1:443": false, "239.1.1.1:443": false, "255.255.255.255:443": false, "0.0.0.0:443": false,
		"0.1.2.3:443": false, "100.64.0.1:443": false, "192.0.0.1:443": false, "198.18.0.1:443": false, "240.0.0.1:443": false,
		"192.0.2.1:443": false, "198.51.100.1:443": false, "203.0.113.1:443": false,
		"[::]:443": false, "[::1]:443": false, "[fe80::1]:443": false, "[fe80::1%eth0]:443": false, "[fc00::1]:443": false, "[fd12::1]:443": false,
		"[ff02::1]:443": false, "[ff01::1]:443": false, "[fec0::1]:443": false, "[2001:db8::1]:443": false, "[100::1]:443": false,
		"[::ffff:10.0.0.1]:443": false, "[::ffff:127.0.0.1]:443": false, "[64:ff9b::7f00:1]:443": false, "[2002:7f00:1::1]:443": false, "[2002:a00:1::]:443": false,
		"dm3p.notify.windows.com:443": false, "": false,
	} {
		network := "tcp4"
		if strings.HasPrefix(address, "[") {
			network = "tcp6"
		}
		err := refuseUnsafe(network, address, nil)
		if (err == nil) != ok || err != nil && !errors.Is(err, ErrUnsafeAddress) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if refuseUnsafe("unix", "/tmp/x", nil) == nil || refuseUnsafe("udp4", "20.0.0.1:443", nil) == nil {
		t.Error("dials what is not TCP")
	}
	if _, err := SafeDialer()(t.Context(), "tcp", "localhost:1"); !errors.Is(err, ErrUnsafeAddress) {
		t.Errorf("localhost: %v", err)
	}
}
