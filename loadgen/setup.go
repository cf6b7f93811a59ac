package loadgen

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// ready is what the fakes tell when they serve, as far as it matters here.
type ready struct {
	EWS       string            `json:"ews"`
	SMTP      string            `json:"smtp"`
	Control   string            `json:"control"`
	Proxy     string            `json:"proxy"`
	CAFile    string            `json:"ca_file"`
	Domain    string            `json:"domain"`
	Listener  readyListener     `json:"listener"`
	Listeners []readyListener   `json:"listeners"`
	Push      readyPush         `json:"push"`
	Hosts     map[string]string `json:"hosts"`
}

type readyListener struct{ User, Password string }

type readyPush struct {
	APNsKeyFile string `json:"apns_key_file"`
	KeyID       string `json:"key_id"`
	TeamID      string `json:"team_id"`
	Topic       string `json:"topic"`
	WNSApp      string `json:"wns_app"`
	PackageSID  string `json:"package_sid"`
	WNSSecret   string `json:"wns_secret"`
}

func readReady(file string) (ready, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return ready{}, fmt.Errorf("ready file: %w", err)
	}
	var r ready
	if err := json.Unmarshal(text, &r); err != nil {
		return ready{}, fmt.Errorf("ready file %s: %w", file, err)
	}
	if len(r.Listeners) == 0 {
		r.Listeners = []readyListener{r.Listener}
	}
	if r.Control == "" {
		return ready{}, fmt.Errorf("ready file %s: no control address; it has to be what cmd/fakes wrote", file)
	}
	return r, nil
}

// section is one section of a configuration.
type section map[string]any

// configFile is the notifier's configuration, in the directory given to
// setup.write.
const configFile = "notifier.yaml"

// setup is what an operator of a notifier for these fakes decides.
type setup struct {
	ready      ready
	api, admin string // addresses to listen at
	enrolment  *authority
	mailboxes  int // in all
	wnsRate    int // 0: the notifier's default
}

// write writes into dir the configuration, and the keys and passwords it names.
func (s setup) write(dir string) error {
	r := s.ready
	public, err := s.enrolment.publicPEM()
	if err != nil {
		return err
	}
	secret := make([]byte, 32) // what notifier config key makes
	rand.Read(secret)
	files := map[string][]byte{
		"enrolment.pem": public, "wns.secret": []byte(r.Push.WNSSecret), "engine.key": []byte(base64.StdEncoding.EncodeToString(secret)),
	}
	var accounts []section
	each := max(accountMailboxes, (s.mailboxes+len(r.Listeners)-1)/len(r.Listeners))
	for i, l := range r.Listeners {
		name := fmt.Sprintf("listener-%d", i+1)
		files[name+".password"] = []byte(l.Password)
		accounts = append(accounts, section{"name": name, "user": l.User, "password_file": name + ".password", "mailboxes": each})
	}
	// Autodiscover looks for a web server of the domain first. Nobody is asked
	// for its address: port 0 refuses.
	hosts := maps.Clone(r.Hosts)
	hosts[r.Domain+":443"] = "127.0.0.1:0"
	windows := section{"name": r.Push.WNSApp, "kind": "partner-center", "package_sid": r.Push.PackageSID, "secret_file": "wns.secret"}
	if s.wnsRate > 0 {
		windows["rate"] = s.wnsRate
	}
	text, err := yaml.Marshal(section{
		"engine":   section{"dir": "data", "encryption_key_file": "engine.key"},
		"exchange": section{"accounts": accounts},
		"push": section{
			"apns": []section{{"environment": "production", "key_file": r.Push.APNsKeyFile, "key_id": r.Push.KeyID, "team_id": r.Push.TeamID}},
			"wns":  []section{windows},
		},
		"policy":  []section{{"mailboxes": []string{"*"}}},
		"api":     section{"listen": s.api, "authority_keys": []string{"enrolment.pem"}}, // no TLS on loopback
		"admin":   section{"listen": s.admin},
		"network": section{"ca_file": r.CAFile, "hosts": hosts},
		"log":     section{"format": "text", "level": "info"},
	})
	if err != nil {
		return err
	}
	files[configFile] = text
	var errs []error
	for name, content := range files {
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	return errors.Join(errs...)
}

// freeAddress is a loopback address that was free a moment ago.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}
