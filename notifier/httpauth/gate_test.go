package httpauth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func refuseAt(t *testing.T, g *gate, host string) *RejectedError {
	t.Helper()
	trial := g.trial(host)
	defer trial.end()
	if err := trial.begin(t.Context()); err != nil {
		t.Fatalf("%s: not judged: %v", host, err)
	}
	var rejected *RejectedError
	if !errors.As(trial.rejected(&http.Response{StatusCode: 401, Header: http.Header{}}, []string{"NTLM"}), &rejected) {
		t.Fatal("no RejectedError")
	}
	return rejected
}

func acceptAt(t *testing.T, g *gate, host string) {
	t.Helper()
	trial := g.trial(host)
	defer trial.end()
	if err := trial.begin(t.Context()); err != nil {
		t.Fatalf("%s: not judged: %v", host, err)
	}
	trial.accepted()
}

func TestARefusedAccountRestsFor1Then5Then30Minutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate("svc", slog.New(slog.DiscardHandler))
		for i, want := range []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute, 30 * time.Minute} {
			rejected := refuseAt(t, g, "mail")
			if rejected.Failures != i+1 || time.Until(rejected.NextTry) != want {
				t.Fatalf("refusal %d: counted %d, rests for %v, want %v", i+1, rejected.Failures, time.Until(rejected.NextTry), want)
			}
			time.Sleep(want - time.Nanosecond)
			if err := g.check("mail"); err == nil {
				t.Fatalf("refusal %d: the gate opened early", i+1)
			}
			time.Sleep(time.Nanosecond)
			if err := g.check("mail"); err != nil {
				t.Fatalf("refusal %d: the gate stays closed: %v", i+1, err)
			}
		}
		acceptAt(t, g, "mail")
		if rejected := refuseAt(t, g, "mail"); rejected.Failures != 1 {
			t.Errorf("after an acceptance the count goes on at %d", rejected.Failures)
		}
	})
}

func TestOneForeignHostDoesNotStopTheAccountButTwoDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate("svc", slog.New(slog.DiscardHandler))
		acceptAt(t, g, "mail")
		refuseAt(t, g, "www")
		if err := g.check("autodiscover"); err != nil {
			t.Errorf("one refusal stopped another host: %v", err)
		}
		refuseAt(t, g, "intranet")
		if err := g.check("autodiscover"); err == nil {
			t.Error("two refusals did not stop a third host")
		}
		if err := g.check("mail"); err != nil {
			t.Errorf("a host that had accepted the account is stopped: %v", err)
		}
	})
}

func TestTheTurnIsGivenBackWhenTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate("svc", slog.New(slog.DiscardHandler))
		first := g.trial("mail")
		if err := first.begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := g.trial("mail").begin(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the deadline", err)
		}
		first.end()
		acceptAt(t, g, "mail")
	})
}

func TestAnAcceptedAccountIsJudgedInParallel(t *testing.T) {
	g := newGate("svc", slog.New(slog.DiscardHandler))
	acceptAt(t, g, "mail")
	for range 3 {
		trial := g.trial("mail")
		defer trial.end()
		if err := trial.begin(t.Context()); err != nil || trial.held {
			t.Fatalf("error %v, turn held %v", err, trial.held)
		}
	}
}

func TestTheGateRemembersABoundedNumberOfHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate("svc", slog.New(slog.DiscardHandler))
		for i := range 3 * gateHostsMax {
			acceptAt(t, g, string(rune('a'+i%26))+string(rune('a'+i/26)))
		}
		if len(g.hosts) > gateHostsMax {
			t.Errorf("%d hosts", len(g.hosts))
		}
	})
}

func TestTheVerdictOfAHostThatTookTheCredentialsCountsEverywhereUntilAnotherContradictsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate("a", slog.New(slog.DiscardHandler))
		accept := func(host string) { g.trial(host).accepted() }
		refuse := func(host string) {
			_ = g.trial(host).rejected(&http.Response{StatusCode: 401, Header: http.Header{}}, nil)
		}
		gated := func(host string) bool { return g.check(host) != nil }
		refuse("foreign")
		if gated("mail") {
			t.Fatal("a host that never took the credentials speaks for another")
		}
		accept("mail")
		accept("autodiscover")
		refuse("mail")
		if !gated("mail") || !gated("autodiscover") {
			t.Fatal("the directory has refused the password, and the next host is asked all the same")
		}
		if n := g.trial("autodiscover").refusalsMax(); n != 1 {
			t.Errorf("it is tried %d times", n)
		}
		time.Sleep(gateStep(1))
		accept("autodiscover")
		refuse("mail") // by itself, it turns out
		if !gated("mail") || gated("autodiscover") {
			t.Error("one broken host stops the account everywhere")
		}
		late := g.trial("mail")
		g.forget()
		if gated("mail") {
			t.Error("new credentials are held against the old ones' refusal")
		}
		if err := late.rejected(&http.Response{StatusCode: 401, Header: http.Header{}}, nil); err == nil || gated("mail") {
			t.Error("a refusal of the old credentials that comes late stops the new ones")
		}
	})
}
