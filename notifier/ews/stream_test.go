package ews

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// streamed is what both samples of a stream say.
var streamed = []StreamMessage{
	{Status: OK},
	{Notifications: []Notification{
		{Subscription: "DwBiZTEu1", Events: []Event{
			{Type: CreatedEvent, Time: received, Item: "AAMkAGI0=", ParentFolder: "AQMkAGI1=", UnreadCount: -1},
			{Type: NewMailEvent, Time: received, Item: "AAMkAGI0=", ParentFolder: "AQMkAGI1=", UnreadCount: -1},
			{Type: ModifiedEvent, Time: received, Folder: "AQMkAGI1=", ParentFolder: "AQMkAGI2=", UnreadCount: 7},
		}},
		{Subscription: "DwBiZTEu2", Events: []Event{
			{Type: MovedEvent, Time: received, Item: "AAMkNEW=", ParentFolder: "AQMkAGI3=", OldItem: "AAMkOLD=", OldParentFolder: "AQMkAGI1=", UnreadCount: -1},
		}},
	}},
	{Notifications: []Notification{{Subscription: "DwBiZTEu1", Events: []Event{{Type: StatusEvent, UnreadCount: -1}}}}},
	{
		Err:                &ResponseError{Operation: opStream, Code: "ErrorInvalidSubscription", Text: "Subscription is invalid."},
		ErrorSubscriptions: []SubscriptionID{"DwBiZTEu2"},
	},
	{Status: Closed},
}

var streamSamples = []string{"stream_exchange.xml", "stream_foreign.xml"}

// open opens a stream whose body is r.
func open(t testing.TB, r io.Reader) *Stream {
	t.Helper()
	c, err := NewClient(Options{URL: "https://mail.contoso.test/", Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(r), Request: req}, nil
	})})
	if err != nil {
		t.Fatal(err)
	}
	return stream(t, c)
}

func stream(t testing.TB, c *Client) *Stream {
	t.Helper()
	st, err := c.GetStreamingEvents(t.Context(), Caller{}, StreamRequest{Subscriptions: []SubscriptionID{"DwBiZTEu1", "DwBiZTEu2"}, Timeout: StreamTimeoutMax})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

// all reads a stream to its end.
func all(st *Stream) (messages []StreamMessage, err error) {
	for {
		m, err := st.Next()
		if err != nil {
			return messages, err
		}
		messages = append(messages, m)
	}
}

func sameStream(t *testing.T, what string, got []StreamMessage, err, wantErr error) {
	t.Helper()
	if !errors.Is(err, wantErr) {
		t.Errorf("%s: ends with %v, want %v", what, err, wantErr)
	}
	if !reflect.DeepEqual(got, streamed) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, streamed)
	}
}

func TestStreamIsTheSameHoweverItIsFramed(t *testing.T) {
	for _, name := range streamSamples {
		got, err := all(open(t, bytes.NewReader(sample(t, name))))
		sameStream(t, name, got, err, io.EOF)
	}
}

func TestStreamIsTheSameHoweverItIsCut(t *testing.T) {
	for _, name := range streamSamples {
		text := sample(t, name)
		for what, r := range map[string]io.Reader{
			"a byte at a time":           iotest.OneByteReader(bytes.NewReader(text)),
			"half of what fits":          iotest.HalfReader(bytes.NewReader(text)),
			"the end with the last byte": iotest.DataErrReader(bytes.NewReader(text)),
		} {
			got, err := all(open(t, r))
			sameStream(t, name+", "+what, got, err, io.EOF)
		}
		for i := range text {
			got, err := all(open(t, io.MultiReader(bytes.NewReader(text[:i]), bytes.NewReader(text[i:]))))
			if sameStream(t, fmt.Sprintf("%s, cut at %d", name, i), got, err, io.EOF); t.Failed() {
				return
			}
		}
	}
}

func TestCutStreamLosesNoWholeEnvelopeAndInventsNone(t *testing.T) {
	text := sample(t, "stream_exchange.xml")
	const end = "</Envelope>"
	first := bytes.Index(text, []byte("<Envelope"))
	closed := bytes.LastIndex(text, []byte(end)) + len(end)
	for i := range text {
		st := open(t, bytes.NewReader(text[:i]))
		got, err := all(st)
		if m, again := st.Next(); again != err {
			t.Fatalf("cut at %d: ends with %v, then goes on with %+v, %v", i, err, m, again)
		}
		within := !bytes.HasSuffix(text[:i], []byte(end)) && i < closed
		if i > first && errors.Is(err, io.ErrUnexpectedEOF) != within {
			t.Fatalf("cut at %d: ends with %v; within an envelope: %v", i, err, within)
		}
		whole := bytes.Count(text[:i], []byte(end))
		if len(got) != whole || !reflect.DeepEqual(got, streamed[:whole:whole]) && whole > 0 {
			t.Fatalf("cut at %d: %d messages, want %d", i, len(got), whole)
		}
		if want := ErrStreamCut; i < closed && !errors.Is(err, want) {
			t.Fatalf("cut at %d: ends with %v, want %v", i, err, want)
		}
	}
}

// flushed is a server that writes pieces as they come, and then does as end
// says.
func flushed(pieces <-chan string, end func(http.ResponseWriter)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		rc := http.NewResponseController(w)
		_ = rc.Flush()
		for p := range pieces {
			if _, err := io.WriteString(w, p); err != nil {
				return
			}
			_ = rc.Flush()
		}
		if end != nil {
			end(w)
		}
	})
}

func reset(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

// envelopes are the sample's, one by one.
func envelopes(t testing.TB) []string {
	parts := strings.SplitAfter(string(sample(t, "stream_exchange.xml")), "</Envelope>")
	return parts[:len(streamed)]
}

func TestMessagesComeAsSoonAsTheirEnvelopeIsWhole(t *testing.T) {
	pieces := make(chan string)
	defer close(pieces)
	st := stream(t, clientFor(t, flushed(pieces, nil)))
	for i, e := range envelopes(t) {
		pieces <- e[:len(e)/2]
		pieces <- e[len(e)/2:]
		m, err := st.Next() // the server says no more until this returns
		if err != nil || !reflect.DeepEqual(m, streamed[i]) {
			t.Fatalf("message %d: %+v, %v", i, m, err)
		}
	}
}

func TestStreamEndsAsItIsToldOrNot(t *testing.T) {
	e := envelopes(t)
	tests := []struct {
		name   string
		pieces []string
		end    func(http.ResponseWriter)
		want   error
	}{
		{"Closed and the last chunk", e, nil, io.EOF},
		{"Closed and a reset", e, reset, io.EOF},
		{"no Closed", e[:4], nil, ErrStreamCut},
		{"nothing at all", nil, nil, ErrStreamCut},
		{"a reset", e[:4], reset, ErrStreamCut},
		{"half an envelope", []string{e[0], e[1][:500]}, nil, ErrStreamCut},
		{"half an envelope and a reset", []string{e[0], e[1][:500]}, reset, ErrStreamCut},
		{"Closed together with an error", []string{strings.Replace(e[3], "</m:ErrorSubscriptionIds>", "</m:ErrorSubscriptionIds><m:ConnectionStatus>Closed</m:ConnectionStatus>", 1)}, nil, io.EOF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pieces := make(chan string, len(tt.pieces))
			for _, p := range tt.pieces {
				pieces <- p
			}
			close(pieces)
			st := stream(t, clientFor(t, flushed(pieces, tt.end)))
			_, err := all(st)
			if !errors.Is(err, tt.want) || React(err) != BackOff || tt.want == io.EOF && err != io.EOF {
				t.Errorf("ends with %v, want %v", err, tt.want)
			}
			if _, again := st.Next(); again != err {
				t.Errorf("then with %v", again)
			}
		})
	}
}

func TestConnectionIsUsedAgainAfterAnOrderlyEnd(t *testing.T) {
	peers := map[string]bool{}
	whole := sample(t, "stream_exchange.xml")
	c := clientFor(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peers[r.RemoteAddr] = true
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(whole)
		_ = http.NewResponseController(w).Flush()
	}))
	for range 3 {
		if _, err := all(stream(t, c)); err != io.EOF {
			t.Fatal(err)
		}
	}
	if len(peers) != 1 {
		t.Errorf("%d connections, want one", len(peers))
	}
}

func TestCloseUnblocksNext(t *testing.T) {
	pieces := make(chan string, 1)
	defer close(pieces)
	pieces <- envelopes(t)[0]
	st := stream(t, clientFor(t, flushed(pieces, nil)))
	if _, err := st.Next(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { _, err := st.Next(); ended <- err }()
	go st.Close()
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != ErrStreamClosed {
		t.Errorf("ends with %v, want ErrStreamClosed", err)
	}
	if _, err := st.Next(); err != ErrStreamClosed {
		t.Errorf("then with %v", err)
	}
}

func TestEndOfTheContextEndsTheStream(t *testing.T) {
	why := errors.New("shutting down")
	pieces := make(chan string)
	defer close(pieces)
	c := clientFor(t, flushed(pieces, nil))
	ctx, cancel := context.WithCancelCause(t.Context())
	st, err := c.GetStreamingEvents(ctx, Caller{}, StreamRequest{Subscriptions: []SubscriptionID{"x"}, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	ended := make(chan error)
	go func() { _, err := st.Next(); ended <- err }()
	cancel(why)
	if err := <-ended; !errors.Is(err, why) || errors.Is(err, ErrStreamCut) {
		t.Errorf("ends with %v, want the cause alone", err)
	}
}

// silence runs f in virtual time with a stream that is fed by say.
func silence(t *testing.T, f func(t *testing.T, st *Stream, say func(string))) {
	synctest.Test(t, func(t *testing.T) {
		var pipe *io.PipeWriter
		c, err := NewClient(Options{URL: "https://mail.contoso.test/", Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			body, w := io.Pipe()
			pipe = w
			ctx := r.Context()
			context.AfterFunc(ctx, func() { w.CloseWithError(context.Cause(ctx)) })
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: body, Request: r}, nil
		})})
		if err != nil {
			t.Fatal(err)
		}
		st, err := c.GetStreamingEvents(t.Context(), Caller{}, StreamRequest{Subscriptions: []SubscriptionID{"DwBiZTEu1"}, Timeout: StreamTimeoutMax})
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		f(t, st, func(s string) { _, _ = io.WriteString(pipe, s) })
		synctest.Wait()
	})
}

func TestSilentStreamIsDead(t *testing.T) {
	silence(t, func(t *testing.T, st *Stream, say func(string)) {
		began := time.Now()
		if _, err := st.Next(); err != ErrStreamSilent || time.Since(began) != SilenceMaxDefault {
			t.Errorf("ends with %v after %v, want ErrStreamSilent after %v", err, time.Since(began), SilenceMaxDefault)
		}
	})
}

func TestEveryByteIsASignOfLife(t *testing.T) {
	e := envelopes(t)[0]
	silence(t, func(t *testing.T, st *Stream, say func(string)) {
		began := time.Now()
		go func() {
			for i := range 20 { // an envelope in twenty pieces, each just in time
				time.Sleep(SilenceMaxDefault - time.Second)
				say(e[i*len(e)/20 : (i+1)*len(e)/20])
			}
		}()
		if m, err := st.Next(); err != nil || m.Status != OK {
			t.Fatalf("%+v, %v", m, err)
		}
		if _, err := st.Next(); err != ErrStreamSilent || time.Since(began) != 20*(SilenceMaxDefault-time.Second)+SilenceMaxDefault {
			t.Errorf("ends with %v after %v", err, time.Since(began))
		}
	})
}

func TestBusyReaderIsNoSilentServer(t *testing.T) {
	e := envelopes(t)
	silence(t, func(t *testing.T, st *Stream, say func(string)) {
		go func() { say(e[0]); say(e[1]) }()
		if _, err := st.Next(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if m, err := st.Next(); err != nil || len(m.Notifications) == 0 {
			t.Errorf("after an hour: %+v, %v", m, err)
		}
	})
}

func TestClosedStreamWhoseConnectionStaysOpenEndsSoon(t *testing.T) {
	e := envelopes(t)
	silence(t, func(t *testing.T, st *Stream, say func(string)) {
		go say(e[4])
		if m, err := st.Next(); err != nil || m.Status != Closed {
			t.Fatalf("%+v, %v", m, err)
		}
		began := time.Now()
		if _, err := st.Next(); err != io.EOF || time.Since(began) != closedGraceMax {
			t.Errorf("ends with %v after %v, want io.EOF after %v", err, time.Since(began), closedGraceMax)
		}
	})
}

func TestNonsenseEndsTheStream(t *testing.T) {
	e := envelopes(t)
	tests := map[string]string{
		"text between envelopes":   e[0] + "busy" + e[1],
		"a page after an envelope": e[0] + iisPage,
		"another document":         e[0] + "<note/>",
		"tags that do not nest":    e[0] + strings.Replace(e[1], "</soap11:Body>", "", 1),
		"another operation":        e[0] + strings.ReplaceAll(e[1], "GetStreamingEventsResponse", "GetItemResponse"),
		"a document type":          e[0] + `<!DOCTYPE a [<!ENTITY b "c">]>` + e[1],
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := all(open(t, strings.NewReader(text)))
			if _, ok := errors.AsType[*SyntaxError](err); !ok || len(got) != 1 || React(err) != BackOff {
				t.Errorf("%d messages, then %v; want one and a SyntaxError", len(got), err)
			}
		})
	}
}

// endless repeats a text for ever.
type endless struct {
	text string
	read int
}

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], e.text[(e.read+n)%len(e.text):])
	}
	e.read += n
	return n, nil
}

func TestEndlessEnvelopeIsLeft(t *testing.T) {
	for name, text := range map[string]string{"white space": " ", "text": "x", "comments": "<!-- -->", "elements": "<a></a>", "an open comment": "-"} {
		e := &endless{text: text}
		beginning := "<Envelope>"
		switch name {
		case "white space", "comments":
			beginning = ""
		case "an open comment":
			beginning = "<!--"
		}
		_, err := all(open(t, io.MultiReader(strings.NewReader(beginning), e)))
		if _, ok := errors.AsType[*SyntaxError](err); !ok || e.read > 3*EnvelopeSizeMax {
			t.Errorf("%s: %v after %d bytes", name, err, e.read)
		}
	}
}

func TestBigEnvelopeIsReadAndItsBufferGivenBack(t *testing.T) {
	e := envelopes(t)
	event := e[1][strings.Index(e[1], "<m:Notification>"):strings.Index(e[1], "</m:Notifications>")]
	big := strings.Replace(e[1], event, strings.Repeat(event, 1000), 1)
	st := open(t, strings.NewReader(big+e[0]+e[4]))
	m, err := st.Next()
	if err != nil || len(m.Notifications) != 2000 {
		t.Fatalf("%d notifications, %v; want 2000", len(m.Notifications), err)
	}
	if _, err := all(st); err != io.EOF {
		t.Fatal(err)
	}
	if cap(st.scan.buf) > readKeepMax {
		t.Errorf("a buffer of %d bytes is kept", cap(st.scan.buf))
	}
}

func TestFaultEndsTheStreamAfterWhatCameBefore(t *testing.T) {
	got, err := all(open(t, strings.NewReader(envelopes(t)[0]+string(sample(t, "fault_busy.xml")))))
	e, ok := errors.AsType[*ResponseError](err)
	if len(got) != 1 || !ok || e.Code != "ErrorServerBusy" || e.Operation != opStream {
		t.Errorf("%d messages, then %v; want one and the fault", len(got), err)
	}
}

func TestUnknownThingsInAStreamAreKeptOrPassedOver(t *testing.T) {
	e := envelopes(t)[1]
	e = strings.Replace(e, "<t:CreatedEvent>", "<t:PreviousWatermark>w</t:PreviousWatermark><t:MoreEvents>false</t:MoreEvents><t:NovelEvent><t:TimeStamp>soon</t:TimeStamp><t:Novelty><t:ItemId Id=\"no\"/></t:Novelty></t:NovelEvent><t:CreatedEvent>", 1)
	e = strings.Replace(e, "</m:Notifications>", "</m:Notifications><m:Novelty/>", 1)
	e = strings.ReplaceAll(e, "DwBiZTEu2", "unknown&amp;")
	m, err := open(t, strings.NewReader(e)).Next()
	if err != nil || len(m.Notifications) != 2 || len(m.Notifications[0].Events) != 4 {
		t.Fatalf("%+v, %v", m, err)
	}
	if got, want := m.Notifications[0].Events[0], (Event{Type: "NovelEvent", UnreadCount: -1}); got != want {
		t.Errorf("unknown event %+v, want %+v", got, want)
	}
	if got := m.Notifications[1].Subscription; got != "unknown&" {
		t.Errorf("subscription %q", got)
	}
}

func TestReaderThatEndsIsNotReadAgain(t *testing.T) {
	text, ended := sample(t, "stream_exchange.xml"), false
	got, err := all(open(t, readerFunc(func(p []byte) (int, error) {
		if ended {
			t.Error("read after the end")
		}
		n := copy(p, text)
		if text = text[n:]; len(text) > 0 {
			return n, nil
		}
		ended = true
		return n, io.EOF
	})))
	sameStream(t, "the end with the last bytes", got, err, io.EOF)
}

func TestEmptyReadsDoNotSpin(t *testing.T) {
	reads := 0
	_, err := all(open(t, readerFunc(func([]byte) (int, error) { reads++; return 0, nil })))
	if !errors.Is(err, io.ErrNoProgress) || !errors.Is(err, ErrStreamCut) || reads != readsEmptyMax {
		t.Errorf("ends with %v after %d reads", err, reads)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
