package config

import (
	"maps"
	"slices"
	"strings"

	"mailbell/notifier/app"
)

func (b *builder) network(n Network) app.Network {
	out := app.Network{RootCAs: b.pool("network.ca_file", n.CAFile)}
	for _, name := range slices.Sorted(maps.Keys(n.Hosts)) {
		field := join("network.hosts", name)
		host := strings.ToLower(strings.TrimPrefix(name, "*."))
		if err := checkHostPort(host); err != nil || strings.HasPrefix(host, ":") || strings.Contains(host, "*") {
			b.wrong(field, "before the colon want host:port or *.suffix:port; the star stands for one whole label")
		}
		b.hostPort(field, n.Hosts[name], true)
		name = strings.ToLower(name)
		if _, ok := out.Hosts[name]; ok {
			b.wrong(field, "the host is there already; case does not matter")
		}
		if out.Hosts == nil {
			out.Hosts = map[string]string{}
		}
		out.Hosts[name] = n.Hosts[name]
	}
	return out
}
