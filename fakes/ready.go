package fakes

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
)

// Ready is what a world tells when it serves: addresses for programs outside
// the process. Services with TLS are reached under their real names by Hosts,
// or as localhost.
type Ready struct {
	EWS          string            `json:"ews"`
	Autodiscover string            `json:"autodiscover"`
	APNs         string            `json:"apns"`
	APNsSandbox  string            `json:"apns_sandbox"`
	WNS          string            `json:"wns"`
	WNSToken     string            `json:"wns_token"`
	OAuth        string            `json:"oauth"`
	SMTP         string            `json:"smtp"`
	Control      string            `json:"control"`
	Proxy        string            `json:"proxy"` // an HTTP proxy to all of them by their real names
	CAFile       string            `json:"ca_file"`
	Domain       string            `json:"domain"`
	Listener     ReadyListener     `json:"listener"`
	Listeners    []ReadyListener   `json:"listeners"` // all, Listener first
	Mailboxes    []string          `json:"mailboxes"` // the first ten
	Push         ReadyPush         `json:"push"`
	Hosts        map[string]string `json:"hosts"` // real host:port → where it is here
}

// ReadyListener are the listener account's credentials.
type ReadyListener struct {
	User     string `json:"user"`
	Password string `json:"password"`
}

// ReadyPush is what a sender needs to push to the world's devices.
type ReadyPush struct {
	APNsKeyFile string `json:"apns_key_file"` // .p8
	KeyID       string `json:"key_id"`
	TeamID      string `json:"team_id"`
	Topic       string `json:"topic"`
	WNSApp      string `json:"wns_app"`
	PackageSID  string `json:"package_sid"`
	WNSSecret   string `json:"wns_secret"`
}

// Files that Ready names, within the directory given.
const (
	caFile  = "ca.pem"
	keyFile = "apns-key.p8"
)

// WriteFiles writes the certificate authority and the APNs provider key into a
// directory.
func (w *World) WriteFiles(dir string) error {
	if err := os.WriteFile(filepath.Join(dir, caFile), w.Authority.PEM(), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, keyFile), w.ProviderKeyPEM(), 0o600); err != nil {
		return err
	}
	w.files.Store(&dir)
	return nil
}

// Ready tells where everything is. dir is where WriteFiles put the files.
func (w *World) Ready(dir string) Ready {
	at := func(service string) string {
		if a := w.where[service]; a != nil {
			return w.advertised(a.String())
		}
		return ""
	}
	r := Ready{
		EWS: "https://" + at("ews") + "/EWS/Exchange.asmx", Autodiscover: "https://" + at("autodiscover") + "/autodiscover/autodiscover.svc",
		APNs: "https://" + at("apns"), APNsSandbox: "https://" + at("apns_sandbox"), WNS: "https://" + at("wns"),
		WNSToken: "https://" + at("wns_token") + "/accesstoken.srf", OAuth: "https://" + at("oauth"), SMTP: at("smtp"), Control: "http://" + at("control"), Proxy: "http://" + at("proxy"),
		Domain: w.Domain(), Listener: ReadyListener{w.ListenerUser(), w.ListenerPassword()},
		Push: ReadyPush{KeyID: KeyID, TeamID: TeamID, Topic: Topic, WNSApp: WNSApp, PackageSID: PackageSID, WNSSecret: wnsSecret},
	}
	for _, user := range w.listeners() {
		r.Listeners = append(r.Listeners, ReadyListener{NetBIOS + `\` + user, w.ListenerPassword()})
	}
	if dir != "" {
		r.CAFile, r.Push.APNsKeyFile = filepath.Join(dir, caFile), filepath.Join(dir, keyFile)
	}
	r.Mailboxes = w.Organisation.Mailboxes()
	if len(r.Mailboxes) > readyMailboxes {
		r.Mailboxes = r.Mailboxes[:readyMailboxes]
	}
	if w.own != nil {
		r.Hosts = w.own.Hosts()
		for name, at := range r.Hosts {
			r.Hosts[name] = w.advertised(at)
		}
	}
	return r
}

// advertised is a listener's address as clients are told it.
func (w *World) advertised(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if w.opt.Advertise != "" {
		return net.JoinHostPort(w.opt.Advertise, port)
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return address
}

const readyMailboxes = 10

// JSON is the form in which programs write it.
func (r Ready) JSON() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings only
	}
	return append(b, '\n')
}
