package config

import (
	"context"
	"strings"

	"mailbell/notifier"
	"mailbell/notifier/apns"
	"mailbell/notifier/app"
	"mailbell/notifier/wns"
)

func (b *builder) push(p Push) ([]app.APNs, []wns.App) {
	if len(p.APNs)+len(p.WNS) == 0 {
		b.wrong("push", "missing: at least one entry in push.apns or push.wns")
	}
	var apple []app.APNs
	environments := map[notifier.Environment]string{}
	for i, a := range p.APNs {
		field := index("push.apns", i)
		entry := b.apns(field, a)
		if first, ok := environments[entry.Environment]; ok {
			b.wrong(field+".environment", "%s is for the same environment", first)
		}
		environments[entry.Environment] = field
		apple = append(apple, entry)
	}
	var windows []wns.App
	names := map[string]string{}
	for i, w := range p.WNS {
		field := index("push.wns", i)
		if first, ok := names[w.Name]; ok {
			b.wrong(field+".name", "%s has the same name; registrations choose the app by it", first)
		}
		names[w.Name] = field
		windows = append(windows, b.wns(field, w))
	}
	return apple, windows
}

func (b *builder) apns(field string, a APNs) app.APNs {
	before := b.count()
	out := app.APNs{
		Environment: notifier.Environment(b.one(field+".environment", a.Environment, string(notifier.Production), string(notifier.Development))),
		Host:        a.Host, Lanes: a.Lanes,
	}
	switch {
	case a.KeyFile != "" && a.CertFile != "":
		b.wrong(field+".key_file", "give key_file or certificate_file, not both")
	case a.CertFile != "":
		b.unused(field, "it goes with key_file, not with certificate_file", "key_id", "team_id")
		b.appleCertificate(field, a, &out)
	default:
		b.unused(field, "it goes with certificate_file", "password_file")
		b.appleKey(field, a, &out)
	}
	if a.Lanes > apns.LanesMax {
		b.wrong(field+".lanes", "want 1 to %d", apns.LanesMax)
	}
	if b.count() > before {
		return out
	}
	client, err := apns.New(apns.Options{Host: a.Host, Key: out.Key, Certificate: out.Certificate})
	b.accept(field+".host", err) // the only option that is still unchecked
	if err == nil {
		b.accept(field, client.Close(context.Background()))
	}
	return out
}

func (b *builder) appleKey(field string, a APNs, out *app.APNs) {
	before := b.count()
	b.need(field+".key_file", a.KeyFile, "the .p8 file of an APNs key, or certificate_file")
	b.need(field+".key_id", a.KeyID, "the ten characters in the name of the .p8 file")
	b.need(field+".team_id", a.TeamID, "the ten characters on the Membership page of the Apple developer site")
	if b.count() > before {
		return
	}
	text := b.file(field+".key_file", a.KeyFile, SecretMax)
	if text == nil {
		return
	}
	key, err := apns.LoadKey(text, a.KeyID, a.TeamID)
	switch {
	case err == nil:
		out.Key = key
	case strings.HasPrefix(err.Error(), "apns: key ID"):
		b.accept(field+".key_id", err)
	case strings.HasPrefix(err.Error(), "apns: team ID"):
		b.accept(field+".team_id", err)
	default:
		b.accept(field+".key_file", err)
	}
}

func (b *builder) appleCertificate(field string, a APNs, out *app.APNs) {
	before := b.count()
	password := ""
	if a.PasswordFile != "" {
		password = b.secret(field+".password_file", a.PasswordFile, "the password of certificate_file")
	}
	text := b.file(field+".certificate_file", a.CertFile, SecretMax)
	if b.count() > before {
		return
	}
	certificate, err := apns.LoadCertificate(text, password)
	if err != nil {
		b.accept(field+".certificate_file", err)
		return
	}
	out.Certificate = &certificate
}

func (b *builder) wns(field string, w WNS) wns.App {
	before := b.count()
	out := wns.App{Name: w.Name, PackageSID: w.PackageSID, ClientID: w.ClientID, Tenant: w.Tenant, TokenURL: w.TokenURL}
	switch b.one(field+".kind", w.Kind, wns.PartnerCenter.String(), wns.Entra.String()) {
	case wns.Entra.String():
		out.Kind = wns.Entra
		b.need(field+".client_id", w.ClientID, "the application's ID")
		b.need(field+".tenant", w.Tenant, "the directory's ID or one of its domains")
		b.unused(field, "it is for kind: partner-center", "package_sid")
	default:
		out.Kind = wns.PartnerCenter
		b.need(field+".package_sid", w.PackageSID, "ms-app://s-1-15-2-..., as Partner Center shows it")
		b.unused(field, "it is for kind: entra", "client_id", "tenant")
	}
	out.RateMax = w.Rate
	if w.TokenURL != "" {
		b.https(field+".token_url", w.TokenURL)
	}
	out.Secret = b.secret(field+".secret_file", w.SecretFile, "the client secret")
	if b.count() > before {
		return out
	}
	client, err := wns.New(wns.Options{App: out})
	b.accept(field, err)
	if err == nil {
		b.accept(field, client.Close(context.Background()))
	}
	return out
}
