package exchange

import (
	"fmt"
	"strings"
	"time"

	"mailbell/fakes/journal"
)

// Database describes a mailbox database and the server it is mounted on.
type Database struct {
	Name   string // "db01"; unlike any server's name
	Server string // by name
}

// DatabasesMax bounds the databases of an organisation.
const DatabasesMax = 1000

// database holds mailboxes. What it is mounted on changes by fail-over, and
// with it the home of all its mailboxes.
type database struct {
	name   string
	server *server
	// A fail-over runs until downUntil and then ends on mountOn; see home.
	mountOn   *server
	downUntil time.Time
	mailboxes int
}

// home is the server the database is mounted on, with a fail-over that has run
// its time completed.
func (d *database) home() *server {
	if d.mountOn != nil && !d.down() {
		d.server, d.mountOn = d.mountOn, nil
	}
	return d.server
}

func (d *database) down() bool { return time.Now().Before(d.downUntil) }

// addDatabases reads Options.Databases; without any, each server has one.
func (o *Organisation) addDatabases() error {
	list := o.options.Databases
	if len(list) == 0 {
		for i, s := range o.servers {
			list = append(list, Database{Name: fmt.Sprintf("db%02d", i+1), Server: s.name})
		}
	}
	if len(list) > DatabasesMax {
		return fmt.Errorf("exchange: Databases: %d, at most %d", len(list), DatabasesMax)
	}
	for _, d := range list {
		name := strings.ToLower(d.Name)
		if name == "" || o.byDatabase[name] != nil || o.server(name) != nil {
			return fmt.Errorf("exchange: Databases: %q is empty, named twice, or the name of a server", d.Name)
		}
		s := o.server(d.Server)
		if s == nil {
			return fmt.Errorf("exchange: Databases: %s: no server %q", d.Name, d.Server)
		}
		db := &database{name: name, server: s}
		o.databases = append(o.databases, db)
		o.byDatabase[name] = db
	}
	return nil
}

// place finds where a mailbox shall live: in the database of that name, or in
// one on the server of that name, or, with an empty name, in any; those that
// come into question take turns.
func (o *Organisation) place(name string) (*database, error) {
	if d := o.byDatabase[strings.ToLower(name)]; d != nil {
		return d, nil
	}
	s := o.server(name)
	if name != "" && s == nil {
		return nil, fmt.Errorf("%w: server or database %q; servers: %s; databases: %s", ErrUnknown, name, strings.Join(o.Servers(), ", "), strings.Join(o.Databases(), ", "))
	}
	for range o.databases {
		d := o.databases[o.nextDatabase%len(o.databases)]
		o.nextDatabase++
		if s == nil || d.home() == s {
			return d, nil
		}
	}
	return nil, fmt.Errorf("server %s has no database", name)
}

// Databases are the names of the databases.
func (o *Organisation) Databases() []string {
	out := make([]string, len(o.databases))
	for i, d := range o.databases {
		out[i] = d.name
	}
	return out
}

// FailOver dismounts all databases of a server for a time and mounts them on
// it again: the subscriptions of their mailboxes are lost, streams report
// ErrorMailboxStoreUnavailable, and so do requests until the time is over.
func (o *Organisation) FailOver(serverName string, took time.Duration) error {
	if err := checkDuration("took", took); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.server(serverName)
	if s == nil {
		return fmt.Errorf("exchange: %w: server %q; there are %s", ErrUnknown, serverName, strings.Join(o.Servers(), ", "))
	}
	for _, d := range o.databases {
		if d.home() == s {
			o.dismount(d, s, took)
		}
	}
	o.record(journal.Entry{Kind: "failover", Detail: map[string]string{"server": s.name, "took": took.String()}})
	return nil
}

// FailOverDatabase moves one database to another server, as a database
// availability group does; an empty server name means the next one in order.
// Its mailboxes are unavailable for the time took and their subscriptions are
// lost; afterwards Autodiscover tells the other server and its group. It
// returns the name of that server.
func (o *Organisation) FailOverDatabase(name, serverName string, took time.Duration) (string, error) {
	if err := checkDuration("took", took); err != nil {
		return "", err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	d := o.byDatabase[strings.ToLower(name)]
	if d == nil {
		return "", fmt.Errorf("exchange: %w: database %q; there are %s", ErrUnknown, name, strings.Join(o.Databases(), ", "))
	}
	from := d.home()
	to := o.server(serverName)
	switch {
	case serverName == "":
		for i, s := range o.servers {
			if s == from {
				to = o.servers[(i+1)%len(o.servers)]
			}
		}
	case to == nil:
		return "", fmt.Errorf("exchange: %w: server %q; there are %s", ErrUnknown, serverName, strings.Join(o.Servers(), ", "))
	}
	o.dismount(d, to, took)
	o.record(journal.Entry{Kind: "failover", Detail: map[string]string{"database": d.name, "from": from.name, "to": to.name, "took": took.String()}})
	return to.name, nil
}

// dismount takes a database off until took is over; then it is mounted on to.
func (o *Organisation) dismount(d *database, to *server, took time.Duration) {
	d.mountOn, d.downUntil = to, time.Now().Add(took)
	d.home()
	for _, m := range o.mailboxes {
		if m.db != d {
			continue
		}
		for _, sub := range append([]*subscription(nil), m.subs...) {
			o.kill(sub, CodeStoreUnavailable, texts[CodeStoreUnavailable])
		}
	}
}

// checkDuration bounds what administrators ask for.
func checkDuration(field string, d time.Duration) error {
	if d < 0 || d > TookMax {
		return fmt.Errorf("exchange: %s: %s; 0 to %s is allowed", field, d, TookMax)
	}
	return nil
}
