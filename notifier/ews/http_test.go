package ews

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	xmlType  = "text/xml; charset=utf-8"
	htmlType = "text/html; charset=utf-8"
	iisPage  = "<!DOCTYPE html>\r\n<html><head><title>Runtime Error</title></head><body><H1>Server Error in '/EWS' Application.</H1><br></body></html>"
)

// The table of statuses is that of EWS "EWS throttling in Exchange", "Impersonation and
// EWS in Exchange", "How to: Control access to EWS in Exchange", the EWS Managed
// API's ExchangeServiceBase, and what IIS itself answers.
func TestEveryStatusHasItsReaction(t *testing.T) {
	tests := []struct {
		name     string
		status   int
		header   string // "Name: value"
		body     string
		want     Reaction
		backOff  time.Duration
		contains string
	}{
		{"200 with a page", 200, "", iisPage, BackOff, 0, "page"},
		{"200 with an old page", 200, "", "\ufeff\n<HTML><BODY>busy</BODY></HTML>", BackOff, 0, "page"},
		{"302 to the error page", 302, "Location: /ews/genericerrorpage.htm?aspxerrorpath=/ews/exchange.asmx", "", BackOff, 0, "genericerrorpage"},
		{"301", 301, "Location: https://owa.contoso.test/EWS/Exchange.asmx?token=hunter2", "", Rediscover, 0, "owa.contoso.test"},
		{"302", 302, "Location: https://owa.contoso.test/", "", Rediscover, 0, "302"},
		{"307", 307, "Location: https://owa.contoso.test/", "", Rediscover, 0, "307"},
		{"308", 308, "Location: https://owa.contoso.test/", "", Rediscover, 0, "308"},
		{"400", 400, "", "Bad Request", GiveUp, 0, "400"},
		{"401", 401, "", iisPage, BackOff, 0, "401"},
		{"403", 403, "", "", Permanent, 0, "403"},
		{"404", 404, "", iisPage, Rediscover, 0, "404"},
		{"413", 413, "", "", GiveUp, 0, "413"},
		{"456", 456, "", "", Permanent, 0, "456"},
		{"500 with a page", 500, "", iisPage, BackOff, 0, "page"},
		{"500 with nothing", 500, "", "", BackOff, 0, "500"},
		{"500 with other XML", 500, "", "<oops/>", BackOff, 0, "500"},
		{"502", 502, "", "", BackOff, 0, "502"},
		{"503", 503, "", "", BackOff, 0, "503"},
		{"503 with a wait in seconds", 503, "Retry-After: 30", iisPage, BackOff, 30 * time.Second, "retry after 30s"},
		{"503 with an absurd wait", 503, "Retry-After: 99999999999", "", BackOff, backOffMax, "503"},
		{"503 with a wait gone by", 503, "Retry-After: Tue, 04 Mar 2025 09:15:27 GMT", "", BackOff, 0, "503"},
		{"503 with a word", 503, "Retry-After: soon", "", BackOff, 0, "503"},
		{"504", 504, "", "", BackOff, 0, "504"},
		{"418", 418, "", "", BackOff, 0, "418"},
	}
	for _, tt := range tests {
		for _, op := range operations {
			t.Run(tt.name+" "+op.name, func(t *testing.T) {
				c := clientFor(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if name, value, ok := strings.Cut(tt.header, ": "); ok {
						w.Header().Set(name, value)
					}
					answering(tt.status, htmlType, []byte(tt.body)).ServeHTTP(w, r)
				}))
				err := op.call(t.Context(), c, Caller{})
				e, ok := errors.AsType[*HTTPError](err)
				if !ok || e.Status != tt.status || e.RetryAfter != tt.backOff || e.Operation != op.name {
					t.Fatalf("error %#v, want an HTTPError", err)
				}
				if React(err) != tt.want {
					t.Errorf("reaction %v, want %v", React(err), tt.want)
				}
				if s := err.Error(); !strings.Contains(s, tt.contains) || strings.Contains(s, "hunter2") || len(s) > 300 {
					t.Errorf("error says %q, want %q in it and no query", s, tt.contains)
				}
			})
		}
	}
}

func TestFaultsAreFoundWithAnyStatus(t *testing.T) {
	const busy = 297749 * time.Millisecond
	tests := []struct {
		file    string
		status  int
		code    string
		react   Reaction
		backOff time.Duration
		values  map[string]string
	}{
		{"fault_busy.xml", 500, "ErrorServerBusy", BackOff, busy, map[string]string{"BackOffMilliseconds": "297749"}},
		{"fault_busy.xml", 200, "ErrorServerBusy", BackOff, busy, nil},
		{"fault_busy.xml", 503, "ErrorServerBusy", BackOff, busy, nil},
		{"fault_busy_errors_namespace.xml", 500, "ErrorServerBusy", BackOff, busy, nil},
		{"fault_connections.xml", 500, "ErrorExceededConnectionCount", BackOff, 0, map[string]string{"Policy": "MaxStreamingConcurrency", "MaxConcurrencyLimit": "10"}},
		{"fault_schema.xml", 500, "ErrorSchemaValidation", GiveUp, 0, map[string]string{"LineNumber": "1", "LinePosition": "742"}},
		{"fault_soap12.xml", 500, "ErrorImpersonateUserDenied", Permanent, 0, nil},
		{"fault_soap12.xml", 403, "ErrorImpersonateUserDenied", Permanent, 0, nil},
	}
	for _, tt := range tests {
		for _, op := range operations {
			t.Run(tt.file+" "+op.name, func(t *testing.T) {
				err := op.call(t.Context(), clientFor(t, answering(tt.status, xmlType, sample(t, tt.file))), Caller{})
				e, ok := errors.AsType[*ResponseError](err)
				if !ok || e.Code != tt.code || e.BackOff != tt.backOff || e.HTTPStatus != tt.status || e.Operation != op.name || e.Text == "" {
					t.Fatalf("error %#v, want %s with a back-off of %v", err, tt.code, tt.backOff)
				}
				if React(err) != tt.react {
					t.Errorf("reaction %v, want %v", React(err), tt.react)
				}
				for name, value := range tt.values {
					if e.Values[name] != value {
						t.Errorf("value %s is %q, want %q", name, e.Values[name], value)
					}
				}
			})
		}
	}
}

func TestFaultTakesTheWaitOfTheHeader(t *testing.T) {
	body := bytes.ReplaceAll(sample(t, "fault_busy.xml"), []byte("BackOffMilliseconds"), []byte("Other"))
	c := clientFor(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		answering(500, xmlType, body).ServeHTTP(w, r)
	}))
	e, ok := errors.AsType[*ResponseError](c.Unsubscribe(t.Context(), Caller{}, "x"))
	if !ok || e.BackOff != 7*time.Second {
		t.Errorf("error %#v, want a back-off of 7s", e)
	}
}

func TestFaultOfAnEndlessBodyIsAStatus(t *testing.T) {
	c := clientFor(t, answering(500, xmlType, append(sample(t, "fault_busy.xml")[:400], bytes.Repeat([]byte("x"), 2*FailureSizeMax)...)))
	if e, ok := errors.AsType[*HTTPError](c.Unsubscribe(t.Context(), Caller{}, "x")); !ok || e.Status != 500 {
		t.Errorf("error %#v, want status 500", e)
	}
}

func TestConnectionIsUsedAgainAfterEveryKindOfAnswer(t *testing.T) {
	answers := []http.Handler{
		answering(401, htmlType, []byte(strings.Repeat(iisPage, 10))),
		answering(302, htmlType, []byte(iisPage)),
		answering(500, htmlType, []byte(iisPage)),
		answering(500, xmlType, sample(t, "fault_busy.xml")),
		saying(t, "unsubscribe_response.xml"),
		answering(200, htmlType, []byte(iisPage)),
	}
	peers := map[string]bool{}
	next := 0
	c := clientFor(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peers[r.RemoteAddr] = true
		answers[next].ServeHTTP(w, r)
		next++
	}))
	for range answers {
		_ = c.Unsubscribe(t.Context(), Caller{}, "x")
	}
	if next != len(answers) || len(peers) != 1 {
		t.Errorf("%d answers over %d connections, want one", next, len(peers))
	}
}

func TestPackedAnswerIsRefusedByName(t *testing.T) {
	for _, op := range operations {
		c := clientFor(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write([]byte{0x1f, 0x8b})
		}))
		if err := op.call(t.Context(), c, Caller{}); err == nil || !strings.Contains(err.Error(), "gzip") {
			t.Errorf("%s: error %v, want one that names the encoding", op.name, err)
		}
	}
}

// hanging is a transport whose bodies begin and then bring nothing until the
// request's context ends.
func hanging(status int, beginning string) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		pr, pw := io.Pipe()
		ctx := r.Context()
		context.AfterFunc(ctx, func() { pw.CloseWithError(context.Cause(ctx)) })
		if beginning != "" {
			go func() { _, _ = io.WriteString(pw, beginning) }()
		}
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: pr, Request: r}, nil
	})
}

// deaf is a transport that answers when the request's context ends.
func deaf(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestRequestTimeoutCoversHeaderAndBody(t *testing.T) {
	for name, transport := range map[string]http.RoundTripper{
		"no header":      roundTripper(deaf),
		"no body":        hanging(200, ""),
		"half a body":    hanging(200, "<Envelope>"),
		"half a failure": hanging(401, "<html>"),
	} {
		for _, op := range operations {
			if op.name == "GetStreamingEvents" && name != "no header" && name != "half a failure" {
				continue // the body of a stream has a watchdog
			}
			t.Run(name+" "+op.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, err := NewClient(Options{URL: "https://mail.contoso.test/", Transport: transport, RequestTimeout: 20 * time.Second})
					if err != nil {
						t.Fatal(err)
					}
					began := time.Now()
					err = op.call(t.Context(), c, Caller{})
					if took := time.Since(began); err == nil || took != 20*time.Second {
						t.Errorf("error %v after %v, want one after 20s", err, took)
					}
					if React(err) != BackOff {
						t.Errorf("reaction %v, want back-off", React(err))
					}
					if name != "half a failure" && (!errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "20s")) {
						t.Errorf("error %v, want the deadline with its length", err)
					}
				})
			})
		}
	}
}

func TestCancelledCallReturnsAtOnce(t *testing.T) {
	why := errors.New("the mailbox was removed")
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, err := NewClient(Options{URL: "https://mail.contoso.test/", Transport: hanging(200, "")})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(3*time.Second, func() { cancel(why) })
				began := time.Now()
				err = op.call(ctx, c, Caller{})
				if !errors.Is(err, why) || time.Since(began) != 3*time.Second || React(err) != BackOff {
					t.Errorf("error %v after %v, want the cause after 3s", err, time.Since(began))
				}
			})
		})
	}
}

func TestErrorsAndLogsHoldNothingOfTheMail(t *testing.T) {
	body := bytes.ReplaceAll(sample(t, "getitem_response.xml"), []byte("</m:GetItemResponse>"), []byte("</m:Broken>"))
	var log bytes.Buffer
	c := clientWith(t, answering(200, xmlType, body), Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	_, err := c.GetItem(t.Context(), Caller{Impersonate: "alice@contoso.com"}, []ItemID{"AAMkAGI0=", "AAMkGONE="})
	if err == nil || log.Len() == 0 {
		t.Fatalf("error %v, log %q: want both", err, log.String())
	}
	for _, private := range []string{"Quarterly", "Bob", "bob@", "numbers", "AAMk"} {
		if strings.Contains(err.Error()+log.String(), private) {
			t.Errorf("%q is in the error %v or the log %s", private, err, log.String())
		}
	}
	if !strings.Contains(log.String(), "request_id=") {
		t.Errorf("log %q without the request's ID", log.String())
	}
}

func TestBrokenConnectionsAskForPatience(t *testing.T) {
	c := clientFor(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}))
	for _, op := range operations {
		if err := op.call(t.Context(), c, Caller{}); err == nil || React(err) != BackOff {
			t.Errorf("%s: error %v, reaction %v", op.name, err, React(err))
		}
	}
}
