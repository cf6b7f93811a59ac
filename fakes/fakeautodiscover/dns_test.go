package fakeautodiscover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"mailbell/fakes/journal"
)

// resolver asks a zone that is served on loopback.
func resolver(t *testing.T, d DNS) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- d.Serve(conn) }()
	t.Cleanup(func() {
		if err := errors.Join(conn.Close(), <-served); err != nil {
			t.Error(err)
		}
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// Checklist autodiscover 25.
func TestNamesAreLookedUp(t *testing.T) {
	loopback := []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	j := journal.New()
	r := resolver(t, DNS{Journal: j, Zone: Zone{
		A:     map[string][]netip.Addr{"mail.contoso.test": loopback, "contoso.test": {}},
		CNAME: map[string]string{"autodiscover.contoso.test": "mail.contoso.test", "a.test": "b.test", "b.test": "a.test"},
		SRV: map[string][]SRV{
			"_autodiscover._tcp.contoso.test": {
				{20, 0, 443, "spare.contoso.test"}, {10, 0, 8443, "odd.contoso.test"}, {5, 100, 443, "mail.contoso.test"}, {5, 0, 443, "other.contoso.test"},
			},
			"_autodiscover._tcp.fabrikam.test": {},
		},
	}})
	_, records, err := r.LookupSRV(t.Context(), "autodiscover", "tcp", "Contoso.test")
	if err != nil || len(records) != 4 {
		t.Fatalf("%v, %v", records, err)
	}
	var got []string
	for _, s := range records {
		got = append(got, fmt.Sprintf("%d %d %s", s.Priority, s.Port, s.Target))
	}
	if list := strings.Join(got[2:], ", "); list != "10 8443 odd.contoso.test., 20 443 spare.contoso.test." || records[0].Priority != 5 || records[0].Port != 443 {
		t.Errorf("records %v", got)
	}
	for _, domain := range []string{"fabrikam.test", "nowhere.test"} { // none of the type; no such name
		_, records, err := r.LookupSRV(t.Context(), "autodiscover", "tcp", domain)
		var missing *net.DNSError
		if len(records) != 0 || !errors.As(err, &missing) || !missing.IsNotFound {
			t.Errorf("%s: %v, %v", domain, records, err)
		}
	}
	for host, want := range map[string]string{"mail.contoso.test": "[127.0.0.1]", "autodiscover.contoso.test": "[127.0.0.1]", "contoso.test": "[]", "a.test": "[]"} {
		if got, _ := r.LookupHost(t.Context(), host); fmt.Sprint(got) != want {
			t.Errorf("%s: %v, want %s", host, got, want)
		}
	}
	e := j.After(0)[0]
	if e.Server != "dns" || e.Operation != "SRV" || e.Detail["name"] != "_autodiscover._tcp.contoso.test" {
		t.Errorf("journal %+v", e)
	}
}

// FuzzQuery: whatever comes in over UDP, there is an answer to it or none.
func FuzzQuery(f *testing.F) {
	name := dnsmessage.MustNewName("a.test.")
	for _, q := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeSRV, dnsmessage.TypeAAAA} {
		m := dnsmessage.Message{Questions: []dnsmessage.Question{{Name: name, Type: q, Class: dnsmessage.ClassINET}}}
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	d := DNS{Zone: Zone{CNAME: map[string]string{"a.test": "b.test"}, SRV: map[string][]SRV{"b.test": {{1, 1, 1, "c.test"}}}}}
	f.Fuzz(func(t *testing.T, query []byte) {
		answer, ok := d.answer(query)
		if !ok {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(answer); err != nil || !m.Response || len(answer) > dnsMessageMax {
			t.Fatalf("%v in %x", err, answer)
		}
	})
}
