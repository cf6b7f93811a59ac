package api

import (
	"crypto/ed25519"
	"net/http"
	"strings"
	"testing"

	"mailbell/notifier/registry"
)

func TestPathsAndMethodsThatAreNotThere(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		for _, c := range []struct {
			method, path string
			want         int
			allow        string
		}{
			{"POST", "/v1/devices/phone", 405, "GET, HEAD, PUT, DELETE"},
			{"PATCH", "/v1/devices/phone", 405, "GET, HEAD, PUT, DELETE"},
			{"DELETE", "/v1/devices/phone/notifications", 405, "GET, HEAD"},
			{"POST", "/v1/openapi.json", 405, "GET, HEAD"},
			{"PUT", "/healthz", 405, "GET, HEAD"},
			{"GET", "/", 404, ""},
			{"GET", "/v1/devices", 404, ""},
			{"GET", "/v1/devices/phone/other", 404, ""},
			{"GET", "/v2/devices/phone", 404, ""},
		} {
			a := d.do(c.method, c.path, d.credential(nil), nil)
			if a.status != c.want || a.header.Get("Allow") != c.allow {
				t.Errorf("%s %s: %d, Allow %q", c.method, c.path, a.status, a.header.Get("Allow"))
			}
		}
	})
}

func TestADeviceIDHasOneSpelling(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		for _, path := range []string{"a%2Fb", "%20", strings.Repeat("a", 129), "%C3%A4"} {
			if a := d.do("GET", "/v1/devices/"+path, d.admin(), nil); a.status != http.StatusBadRequest || fields(a.problem) != "id" {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
		}
	})
}

func TestHealthSaysWhenTheRegistrationsAreRead(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		if a := d.do("GET", "/healthz", "", nil); a.status != 200 {
			t.Errorf("%d", a.status)
		}
	})
	bubble(t, nil, func(d *desk) {
		d.opt.View = registry.NewView(d.store, nil) // nobody runs it
		a, err := New(d.opt)
		if err != nil {
			t.Fatal(err)
		}
		d.handler = a.Handler()
		if a := d.do("GET", "/healthz", "", nil); a.status != 503 {
			t.Errorf("%d", a.status)
		}
	})
}

func TestAnswersAreNotCached(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		for _, a := range []answerOf{d.register("phone", "ada@contoso.test"), d.do("GET", "/v1/devices/phone", "", nil), d.do("DELETE", "/v1/devices/phone", d.credential(nil), nil)} {
			if a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d: Cache-Control %q", a.status, a.header.Get("Cache-Control"))
			}
		}
	})
}

func TestOptionsAreChecked(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		for field, spoil := range map[string]func(*Options){
			"Registry": func(o *Options) { o.Registry = nil }, "View": func(o *Options) { o.View = nil }, "Ledger": func(o *Options) { o.Ledger = nil },
			"Approved": func(o *Options) { o.Approved = nil }, "CheckChannel": func(o *Options) { o.CheckChannel = nil },
			"Wiped": func(o *Options) { o.Wiped = nil }, "Keys": func(o *Options) { o.Keys = nil },
			"Ed25519": func(o *Options) { o.Keys = []TrustedKey{{Public: ed25519.PublicKey{1}}} },
			"Limits":  func(o *Options) { o.Limits.RateBurst = -1 },
		} {
			o := d.opt
			spoil(&o)
			if _, err := New(o); err == nil || !strings.Contains(err.Error(), field) {
				t.Errorf("%s: %v", field, err)
			}
		}
	})
}
