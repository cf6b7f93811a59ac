package httpauth

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestASecretIsNeverPrinted(t *testing.T) {
	const value = "hunter2-пароль"
	tokens, err := NewTokenSource(TokenOptions{Tenant: "t", ClientID: "app", Secret: value})
	if err != nil {
		t.Fatal(err)
	}
	defer tokens.Close()
	ntlm := pool(t, Options{Credentials: NTLM{User: "u", Password: value}})
	for name, v := range map[string]any{
		"secret":     Secret(value),
		"pointer":    new(Secret(value)),
		"slice":      []Secret{value},
		"map":        map[string]Secret{"k": value},
		"NTLM":       NTLM{User: "u", Password: value},
		"Basic":      &Basic{User: "u", Password: value},
		"options":    Options{Account: "a", Credentials: NTLM{User: "u", Password: value}},
		"tokens":     TokenOptions{Tenant: "t", Secret: value},
		"token":      Token{Value: value},
		"pool":       ntlm,
		"source":     tokens,
		"bearer":     Bearer{Tokens: tokens},
		"pool in it": struct{ P *Pool }{ntlm},
	} {
		var out strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%c", "%U", "%e", "%o", "%20v"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		fmt.Fprintln(&out, errors.Join(fmt.Errorf("wrapped: %v", v)))
		if data, err := json.Marshal(v); err == nil {
			out.Write(data)
		}
		if data, err := xml.Marshal(v); err == nil {
			out.Write(data)
		}
		var log bytes.Buffer
		for _, h := range []slog.Handler{slog.NewJSONHandler(&log, nil), slog.NewTextHandler(&log, nil)} {
			slog.New(h).Info("message", "value", v, slog.Group("group", "value", v))
		}
		out.Write(log.Bytes())
		for _, leak := range []string{value, "hunter2", fmt.Sprintf("%x", value), fmt.Sprintf("%X", value)} {
			if strings.Contains(out.String(), leak) {
				t.Errorf("%s: printed:\n%s", name, out.String())
				break
			}
		}
	}
}

func TestErrorsAndLogsNameTheAccountAndNotItsPassword(t *testing.T) {
	const value = "hunter2-passphrase"
	var log bytes.Buffer
	s := aliceServer().start(t)
	p := pool(t, Options{Account: "listener-1", Credentials: alice(value), Logger: slog.New(slog.NewJSONHandler(&log, nil))})
	_, err := post(t.Context(), p, s.URL)
	if err == nil || !strings.Contains(err.Error(), "listener-1") || strings.Contains(err.Error(), value) {
		t.Errorf("error %v", err)
	}
	if !strings.Contains(log.String(), "listener-1") || strings.Contains(log.String(), value) || strings.Contains(log.String(), "TlRMTVNT") {
		t.Errorf("log %s", log.String())
	}
}
