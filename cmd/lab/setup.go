package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"mailbell/fakes"
	"mailbell/fakes/exchange"
	"mailbell/fakes/fakedevice"
	"mailbell/fakes/testcert"
	"mailbell/notifier/config"
)

// Names of the files in the lab's directory.
const (
	configFile   = "notifier.yaml"
	logFile      = "notifier.log"
	caFile       = "ca.pem"
	keyFile      = "apns.p8"
	engineFile   = "engine.key"
	passwordFile = "listener.password"
	secretFile   = "wns.secret"
	appFile      = "application.secret"
	enrolFile    = "enrolment.pem"
	apiCert      = "api.crt"
	apiKey       = "api.key"
	storeDir     = "data"
)

// writeSetup writes into dir what an operator would: the configuration of a
// notifier for the world, and the keys, certificates and passwords it names.
// api is the address of the registration service.
func writeSetup(dir string, w *fakes.World, version exchange.Version, api string, enrolment *fakedevice.Authority) error {
	host, _, err := net.SplitHostPort(api)
	if err != nil {
		return err
	}
	cert, err := w.Authority.Server(host)
	if err != nil {
		return err
	}
	chain, key, err := testcert.KeyPairPEM(cert)
	if err != nil {
		return err
	}
	secret := make([]byte, config.EngineKeyBytes)
	rand.Read(secret)
	text, err := yaml.Marshal(setup(w, version, api))
	if err != nil {
		return err
	}
	var errs []error
	for name, content := range map[string][]byte{
		configFile: text, caFile: w.Authority.PEM(), keyFile: w.ProviderKeyPEM(),
		engineFile: []byte(base64.StdEncoding.EncodeToString(secret)), passwordFile: []byte(w.ListenerPassword()),
		secretFile: []byte(w.WNSSecret()), appFile: []byte(w.AppSecret()), enrolFile: enrolment.PublicKeyPEM(),
		apiCert: chain, apiKey: key,
	} {
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	return errors.Join(errs...)
}

// section is one section of the configuration.
type section map[string]any

// setup is the configuration. Only what differs from the defaults is in it.
func setup(w *fakes.World, version exchange.Version, api string) section {
	account := section{"name": "listener", "user": w.ListenerUser(), "password_file": passwordFile}
	listening := section{}
	if version == exchange.VOnline {
		// Tokens go to hosts of Office 365 and to those named here.
		listening["autodiscover"] = section{"redirect_hosts": []string{"autodiscover." + w.Domain(), "mail." + w.Domain()}}
		account = section{"name": "listener", "authentication": "oauth", "oauth": section{
			"tenant": fakes.Tenant, "client_id": fakes.ClientID, "secret_file": appFile,
		}}
	}
	listening["accounts"] = []section{account}
	var hidden []string
	for _, s := range cast {
		if s.Hidden {
			hidden = append(hidden, s.Person+"@"+w.Domain())
		}
	}
	hosts := w.Ready("").Hosts
	// Autodiscover looks for a web server of the domain first. Nobody is asked
	// for its address: port 0 refuses.
	hosts[w.Domain()+":443"] = "127.0.0.1:0"
	return section{
		"engine":   section{"dir": storeDir, "encryption_key_file": engineFile},
		"exchange": listening,
		"push": section{
			"apns": []section{{"environment": "production", "key_file": keyFile, "key_id": fakes.KeyID, "team_id": fakes.TeamID}},
			"wns":  []section{{"name": fakes.WNSApp, "kind": "partner-center", "package_sid": fakes.PackageSID, "secret_file": secretFile}},
		},
		"policy": []section{
			{"mailboxes": hidden, "show": "nothing"},
			{"mailboxes": []string{"*"}, "preview": true},
		},
		"api":     section{"listen": api, "certificate_file": apiCert, "key_file": apiKey, "authority_keys": []string{enrolFile}},
		"network": section{"ca_file": caFile, "hosts": hosts},
		"log":     section{"format": "text", "level": "info"},
	}
}

// freeAddress is a loopback address that was free a moment ago.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}
