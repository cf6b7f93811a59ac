package fakewns_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"mailbell/fakes/fakewns"
)

// FuzzRequest asks both services anything but with a good token or secret.
// Whatever comes, nothing is accepted, and the answer is a refusal of theirs.
func FuzzRequest(f *testing.F) {
	f.Add(true, "POST", "/?token=a%2fb", "Authorization", "Bearer x", "X-WNS-Type", "wns/toast", []byte(toast))
	f.Add(true, "GET", "/", "", "", "", "", []byte(nil))
	f.Add(true, "DELETE", "/", "X-WNS-TTL", "0", "X-WNS-Cache-Policy", "no-cache", []byte{0xff})
	f.Add(false, "POST", "/accesstoken.srf", "Content-Type", "application/x-www-form-urlencoded", "", "", []byte(form("nobody", "x").Encode()))
	f.Add(false, "POST", "/accesstoken.srf", "Content-Type", "text/plain", "Authorization", "Basic !", []byte("%zz=&=;"))
	s := fakewns.New(fakewns.Options{Apps: []fakewns.App{{Name: "mail", SID: sid, Secret: secret}}})
	channel, err := url.Parse(s.NewChannel("mail"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, push bool, method, path, name1, value1, name2, value2 string, body []byte) {
		target, err := url.ParseRequestURI(path)
		if err != nil {
			target = channel
		}
		r := (&http.Request{
			Method: method, URL: target, RequestURI: target.RequestURI(), Host: channel.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{}, Body: http.NoBody, ContentLength: int64(len(body)),
		}).WithContext(t.Context())
		if len(body) > 0 {
			r.Body = readCloser{bytes.NewReader(body)}
		}
		for name, value := range map[string]string{name1: value1, name2: value2} {
			r.Header[http.CanonicalHeaderKey(name)] = append(r.Header[http.CanonicalHeaderKey(name)], value)
		}
		w := httptest.NewRecorder()
		handler := s.TokenHandler()
		if push {
			handler = s.ChannelHandler()
		}
		handler.ServeHTTP(w, r)
		if w.Code < 400 || w.Code > 499 {
			t.Errorf("%s %s: status %d", method, target, w.Code)
		}
	})
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }
