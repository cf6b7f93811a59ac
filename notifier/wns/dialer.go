package wns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// ErrUnsafeAddress is wrapped when SafeDialer refuses an address.
var ErrUnsafeAddress = errors.New("address is not on the public Internet")

// SafeDialer returns a dial function that refuses, after the name was
// resolved, every address that is not on the public Internet: private,
// loopback, link-local, multicast, unspecified, shared (carrier-grade NAT) and
// reserved ones, also when written as IPv4 in IPv6. A name that a stranger
// gives us can therefore not lead into our own network.
func SafeDialer() func(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout, KeepAlive: tcpKeepAlive, Control: refuseUnsafe}
	return d.DialContext
}

// refuseUnsafe runs for each address tried, between resolution and connect.
func refuseUnsafe(network, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("wns: dial: %w: not an IP address and port", ErrUnsafeAddress)
	}
	switch network {
	case "tcp4", "tcp6":
	default:
		return fmt.Errorf("wns: dial: %w: network %s", ErrUnsafeAddress, network)
	}
	if kind := unsafeKind(ap.Addr()); kind != "" {
		return fmt.Errorf("wns: dial: %w: %s", ErrUnsafeAddress, kind)
	}
	return nil
}

// reserved holds address blocks that netip has no question for (IANA IPv4 and
// IPv6 Special-Purpose Address Registries). The IPv6 ones that embed an IPv4
// address are unwrapped in embedded.
func reserved(a netip.Addr) string {
	for _, block := range [...]struct{ prefix, kind string }{
		{"0.0.0.0/8", "this network"},
		{"100.64.0.0/10", "shared"},
		{"192.0.0.0/24", "protocol assignments"},
		{"192.0.2.0/24", "documentation"},
		{"198.18.0.0/15", "benchmarking"},
		{"198.51.100.0/24", "documentation"},
		{"203.0.113.0/24", "documentation"},
		{"240.0.0.0/4", "reserved"},
		{"100::/64", "discard"},
		{"2001:db8::/32", "documentation"},
		{"fec0::/10", "site-local"},
	} {
		if netip.MustParsePrefix(block.prefix).Contains(a) {
			return block.kind
		}
	}
	return ""
}

// unsafeKind names why an address is not dialled, "" when it may be.
func unsafeKind(a netip.Addr) string {
	a = embedded(a)
	switch {
	case !a.IsValid() || a.IsUnspecified():
		return "unspecified"
	case a.IsLoopback():
		return "loopback"
	case a.IsPrivate():
		return "private"
	case a.IsLinkLocalUnicast(), a.IsLinkLocalMulticast():
		return "link-local"
	case a.IsMulticast(), a.IsInterfaceLocalMulticast():
		return "multicast"
	case !a.IsGlobalUnicast():
		return "not global"
	}
	return reserved(a)
}

// embedded is the IPv4 address inside an IPv6 address that leads to one:
// mapped, NAT64 (RFC 6052) and 6to4 (RFC 3056).
func embedded(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if !a.Is6() {
		return a
	}
	b := a.As16()
	switch {
	case netip.MustParsePrefix("64:ff9b::/96").Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case netip.MustParsePrefix("2002::/16").Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return a
}
