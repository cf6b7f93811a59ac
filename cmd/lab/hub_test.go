package main

import (
	"fmt"
	"strings"
	"testing"
)

// wire is everything that a page has been sent.
func wire(frames ...frame) string {
	var b strings.Builder
	for _, f := range frames {
		b.Write(f.text)
	}
	return b.String()
}

func subscribe(t *testing.T, h *hub, after string) *subscription {
	t.Helper()
	s, err := h.Subscribe(after)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestANewPageIsToldHowThingsStandAndTheRecentPast(t *testing.T) {
	h := newHub()
	h.State(stateEvent{Notifier: "running"})
	h.Publish(mailEvent{Item: "1"}, hopEvent{Item: "1"})
	h.State(stateEvent{Notifier: "killed"})
	past := subscribe(t, h, "").Past
	if len(past) != 4 {
		t.Fatalf("told %s", wire(past...))
	}
	for i, want := range []string{"event: reset\ndata: {}\n\n", `"notifier":"killed"`, "id: " + h.epoch + "-1\nevent: mail\n", "id: " + h.epoch + "-2\nevent: hop\n"} {
		if !strings.Contains(string(past[i].text), want) {
			t.Errorf("%d: %q; want %q in it", i, past[i].text, want)
		}
	}
}

func TestAPageThatComesBackIsToldWhatItMissed(t *testing.T) {
	h := newHub()
	h.Publish(mailEvent{Item: "1"}, mailEvent{Item: "2"})
	s := subscribe(t, h, h.id(1))
	if got := wire(s.Past...); strings.Contains(got, "reset") || strings.Contains(got, `"item":"1"`) || !strings.Contains(got, `"item":"2"`) {
		t.Errorf("told %s", got)
	}
	h.Publish(mailEvent{Item: "3"})
	if got := wire(<-s.Frames); !strings.Contains(got, `"item":"3"`) {
		t.Errorf("told %s", got)
	}
	for name, id := range map[string]string{"another run": "other-1", "the future": h.id(99), "nonsense": "x", "too long ago": h.epoch + "--1"} {
		if got := wire(subscribe(t, h, id).Past...); !strings.Contains(got, "event: reset") || !strings.Contains(got, `"item":"1"`) {
			t.Errorf("%s: told %s", name, got)
		}
	}
}

func TestThePastIsBounded(t *testing.T) {
	h := newHub()
	for i := range 3 * pastMax {
		h.Publish(mailEvent{Item: fmt.Sprint(i)})
	}
	past := subscribe(t, h, "").Past
	if len(past) > pastMax+1 {
		t.Errorf("%d events are kept", len(past))
	}
	if got := wire(past[len(past)-1]); !strings.Contains(got, fmt.Sprintf(`"item":"%d"`, 3*pastMax-1)) {
		t.Errorf("the newest is %s", got)
	}
	if got := wire(subscribe(t, h, h.id(1)).Past...); !strings.Contains(got, "event: reset") {
		t.Error("a page that missed more than is kept is not told to begin anew")
	}
}

func TestTheSameStateIsToldOnce(t *testing.T) {
	h := newHub()
	s := subscribe(t, h, "")
	h.State(stateEvent{Streams: 1})
	h.State(stateEvent{Streams: 1})
	h.State(stateEvent{Streams: 2})
	if len(s.Frames) != 2 {
		t.Errorf("told %d times", len(s.Frames))
	}
}

func TestAPageThatDoesNotReadIsSentAway(t *testing.T) {
	h := newHub()
	slow, other := subscribe(t, h, ""), subscribe(t, h, "")
	for range backlogMax + 1 {
		h.Publish(mailEvent{})
		<-other.Frames
	}
	n := 0
	for range slow.Frames { // ends because the hub has closed it
		n++
	}
	if n != backlogMax {
		t.Errorf("the slow page was told %d events", n)
	}
	h.Unsubscribe(slow)
	h.Publish(mailEvent{})
	if got := wire(<-other.Frames); got == "" {
		t.Error("the other page hears nothing more")
	}
}

func TestPagesAreBounded(t *testing.T) {
	h := newHub()
	var last *subscription
	for range subscribersMax {
		last = subscribe(t, h, "")
	}
	if _, err := h.Subscribe(""); err == nil {
		t.Fatal("one page too many is let in")
	}
	h.Unsubscribe(last)
	subscribe(t, h, "")
}

func TestAClosedHubEndsItsPages(t *testing.T) {
	h := newHub()
	s := subscribe(t, h, "")
	h.Close()
	if _, open := <-s.Frames; open {
		t.Error("the page still hears")
	}
	if _, err := h.Subscribe(""); err == nil {
		t.Error("a new page is let in")
	}
	h.Publish(mailEvent{})
}
