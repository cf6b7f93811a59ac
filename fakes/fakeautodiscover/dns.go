package fakeautodiscover

import (
	"errors"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"mailbell/fakes/journal"
)

// Zone is what a DNS server knows, by names in lower case without a final dot.
// It must not change while it is served.
type Zone struct {
	A     map[string][]netip.Addr
	CNAME map[string]string
	SRV   map[string][]SRV // "_autodiscover._tcp.contoso.test"
}

// SRV is a service record. The host with the lowest priority is the one to
// contact (RFC 2782).
type SRV struct {
	Priority, Weight, Port uint16
	Target                 string
}

// Limits of the DNS server.
const (
	dnsMessageMax = 512 // bytes over UDP (RFC 1035 "Size limits")
	cnameMax      = 8   // names followed
)

// DNS is a name server for what a client looks up around Autodiscover: A, CNAME
// and SRV records, in the order the zone has them. A name that is in no part of
// the zone does not exist; one without a record of the type asked for has an
// empty answer. Queries are journalled: server "dns", kind "query", Operation
// the type, Detail name, Reason the code of an error.
type DNS struct {
	Zone    Zone
	Journal *journal.Journal // nil: nothing is recorded
}

// Serve answers queries over UDP until conn is closed.
func (d DNS) Serve(conn net.PacketConn) error {
	buf := make([]byte, dnsMessageMax)
	for {
		n, from, err := conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if answer, ok := d.answer(buf[:n]); ok {
			if _, err := conn.WriteTo(answer, from); err != nil && !errors.Is(err, net.ErrClosed) {
				return err
			}
		}
	}
}

// answer makes the response; false for what is no query.
func (d DNS) answer(query []byte) ([]byte, bool) {
	var p dnsmessage.Parser
	header, err := p.Start(query)
	if err != nil || header.Response {
		return nil, false
	}
	q, err := p.Question()
	if err != nil {
		return nil, false
	}
	name := canonicalName(q.Name.String())
	message := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: header.ID, Response: true, Authoritative: true, RecursionDesired: header.RecursionDesired, RecursionAvailable: true},
		Questions: []dnsmessage.Question{q},
	}
	reason := ""
	if d.exists(name) {
		message.Answers = d.records(name, q)
	} else {
		message.RCode = dnsmessage.RCodeNameError
		reason = "NXDOMAIN"
	}
	out, err := message.Pack()
	if err == nil && len(out) > dnsMessageMax {
		message.Answers, message.Truncated = nil, true
		out, err = message.Pack()
	}
	if d.Journal != nil {
		d.Journal.Append(journal.Entry{Server: "dns", Kind: "query", Operation: strings.TrimPrefix(q.Type.String(), "Type"), Reason: reason, Detail: map[string]string{"name": name}})
	}
	return out, err == nil
}

func (d DNS) exists(name string) bool {
	_, a := d.Zone.A[name]
	_, c := d.Zone.CNAME[name]
	_, s := d.Zone.SRV[name]
	return a || c || s
}

// records are the answers for a name, after the aliases that lead to them.
func (d DNS) records(name string, q dnsmessage.Question) []dnsmessage.Resource {
	var out []dnsmessage.Resource
	owner := q.Name
	add := func(body dnsmessage.ResourceBody) {
		out = append(out, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: owner, Class: dnsmessage.ClassINET}, Body: body})
	}
	for range cnameMax {
		target, ok := d.Zone.CNAME[name]
		to, err := dnsmessage.NewName(target + ".")
		if !ok || err != nil {
			break
		}
		add(&dnsmessage.CNAMEResource{CNAME: to})
		name, owner = canonicalName(target), to
	}
	switch q.Type {
	case dnsmessage.TypeA:
		for _, a := range d.Zone.A[name] {
			if a.Is4() {
				add(&dnsmessage.AResource{A: a.As4()})
			}
		}
	case dnsmessage.TypeSRV:
		for _, s := range d.Zone.SRV[name] {
			if target, err := dnsmessage.NewName(s.Target + "."); err == nil {
				add(&dnsmessage.SRVResource{Priority: s.Priority, Weight: s.Weight, Port: s.Port, Target: target})
			}
		}
	}
	return out
}

func canonicalName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
