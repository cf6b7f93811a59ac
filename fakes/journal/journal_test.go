package journal

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestEntriesAreNumberedInOrderAndGoOnAfterClear(t *testing.T) {
	j := New()
	j.Append(Entry{Kind: "a"})
	j.Append(Entry{Kind: "b"})
	if got := j.After(1); len(got) != 1 || got[0].Kind != "b" || got[0].Seq != 2 {
		t.Errorf("after 1: %+v", got)
	}
	j.Clear()
	if e := j.Append(Entry{Kind: "c"}); e.Seq != 3 || j.Last() != 3 {
		t.Errorf("after clear: seq %d", e.Seq)
	}
	if got := j.After(0); len(got) != 1 || got[0].Kind != "c" {
		t.Errorf("after clear: %+v", got)
	}
}

func TestWaitReturnsWithTheNextEntryOrTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := New()
		go func() { time.Sleep(time.Second); j.Append(Entry{Kind: "x"}) }()
		if e, err := j.Await(t.Context(), 0, func(e Entry) bool { return e.Kind == "x" }); err != nil || e.Seq != 1 {
			t.Errorf("%+v, %v", e, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := j.Await(ctx, 0, func(e Entry) bool { return e.Kind == "never" }); err == nil {
			t.Error("awaited what never came")
		}
	})
}

func TestAReaderThatComesLateIsToldWhatIsMissing(t *testing.T) {
	j := New()
	j.entriesMax = 10
	for range 25 {
		j.Append(Entry{Kind: "x"})
	}
	held, gap := j.Read(3, 2)
	if gap == nil || gap.Why != GapDropped || gap.From != 4 || len(held) != 2 || held[0].Seq != gap.To+1 || j.Last() != 25 {
		t.Errorf("gap %+v, held %+v", gap, held)
	}
	if _, gap := j.Read(j.Last(), 0); gap != nil {
		t.Errorf("a reader that missed nothing is told of %+v", gap)
	}
	j.Clear()
	if held, gap := j.Read(20, 0); len(held) != 0 || gap == nil || *gap != (Gap{From: 21, To: 25, Why: GapReset}) {
		t.Errorf("after a reset: gap %+v, held %+v", gap, held)
	}
}

func TestWhatIsHeldHasNoHolesHoweverMuchWasDropped(t *testing.T) {
	j := New()
	j.entriesMax = 3 * pieceLen
	for i := range 20 * pieceLen {
		j.Append(Entry{Kind: "x"})
		if i%(pieceLen/3) != 0 {
			continue
		}
		held := j.After(0)
		for k, e := range held {
			if want := j.Last() - uint64(len(held)-1-k); e.Seq != want || e.Kind != "x" {
				t.Fatalf("after %d: entry %d of %d is %+v, want %d", i+1, k, len(held), e, want)
			}
		}
	}
	if n, want := len(j.After(0)), j.entriesMax*9/10; n < want {
		t.Errorf("%d entries are held, want at least %d", n, want)
	}
}

func TestMemoryIsBoundedByBytesToo(t *testing.T) {
	j := New()
	j.bytesMax = 100_000
	body := []byte(`"` + strings.Repeat("x", 1000) + `"`)
	for range 1000 {
		j.Append(Entry{Kind: "push", Body: body})
		if j.bytes > j.bytesMax {
			t.Fatalf("%d bytes are held, at most %d are allowed", j.bytes, j.bytesMax)
		}
	}
	if held := j.After(0); len(held) < 50 || held[len(held)-1].Seq != 1000 {
		t.Errorf("%d entries are held; the newest tenth at least must be", len(held))
	}
}

func TestClearWakesWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := New()
		j.Append(Entry{Kind: "x"})
		go func() { time.Sleep(time.Second); j.Append(Entry{Kind: "y"}); j.Clear() }()
		if list, gap := j.WaitRead(t.Context(), 1, 0); len(list) == 0 && (gap == nil || gap.Why != GapReset) {
			t.Errorf("%+v, %+v", list, gap)
		}
	})
}

func TestWaitGoesOnOverAClearedJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := New()
		j.Append(Entry{Kind: "x"})
		j.Clear()
		go func() { time.Sleep(time.Hour); j.Append(Entry{Kind: "y"}) }()
		if e, err := j.Await(t.Context(), 0, func(Entry) bool { return true }); err != nil || e.Kind != "y" {
			t.Errorf("%+v, %v", e, err)
		}
	})
}

func TestSecretsAreShortenedAsTheyAreWrittenDown(t *testing.T) {
	const secret = "hunter2-hunter2-hunter2"
	for _, c := range []struct {
		name  string
		entry Entry
	}{
		{"a field", Entry{Body: []byte(`{"user":"ada","password":"` + secret + `"}`)}},
		{"deep down", Entry{Body: []byte(`{"a":[1,{"Client-Secret":{"value":"` + secret + `"}}],"n":1.50}`)}},
		{"a form as text", Entry{Body: []byte(`"grant_type=x&client_secret=` + secret + `&scope=y"`)}},
		{"a header as text", Entry{Body: []byte(`"Authorization: Bearer ` + secret + `"`)}},
		{"a detail", Entry{Detail: map[string]string{"access_token": secret, "app": "mail"}}},
		{"a header among the details", Entry{Detail: map[string]string{"headers": "authorization: bearer " + secret}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := New().Append(c.entry)
			text, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), secret) || !strings.Contains(string(text), "hunter…(23)") {
				t.Errorf("recorded %s", text)
			}
			again, err := json.Marshal(Shorten(got))
			if err != nil || string(again) != string(text) {
				t.Errorf("shortened twice: %s", again)
			}
		})
	}
}

func TestWhatIsNoSecretStaysAsItCame(t *testing.T) {
	for _, body := range []string{
		`{"aps":{"alert":{"title":"Ada","body":"your token, your Secret garden & <b>cookies</b>"},"badge":3}}`,
		`{ "broken": "caf\u00e9", "token": 1 }`,
		`"<toast><text>the bearer of news</text></toast>"`,
	} {
		if got := New().Append(Entry{Body: []byte(body)}); string(got.Body) != body {
			t.Errorf("%s became %s", body, got.Body)
		}
	}
	if got := New().Append(Entry{Body: []byte(`"` + strings.Repeat("é", BodyKeptMax) + `"`)}); !json.Valid(got.Body) || len(got.Body) > BodyKeptMax+100 {
		t.Errorf("a body of %d bytes is kept", len(got.Body))
	}
}

func BenchmarkAppend(b *testing.B) {
	j := New()
	e := Entry{Server: "apns", Kind: "push", Device: strings.Repeat("ab", 32), Status: 200, Detail: map[string]string{"apns_id": "x", "topic": "y", "push_type": "alert"}, Body: []byte(`{"aps":{"alert":{"title":"Ada Example","body":"a subject of some length"},"badge":3,"sound":"default"}}`)}
	b.ReportAllocs()
	for b.Loop() {
		j.Append(e)
	}
}
