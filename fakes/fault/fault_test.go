package fault

import (
	"testing"
	"testing/synctest"
	"time"
)

func strikes(s *Set, n int, q Scope) (list []bool) {
	for range n {
		_, hit := s.Strikes("x", q)
		list = append(list, hit)
	}
	return list
}

func mustAdd(t *testing.T, s *Set, f Fault) Fault {
	t.Helper()
	f, err := s.Add(f)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestTheSameSeedGivesTheSameMisbehaviourWhateverRunsBeside(t *testing.T) {
	draw := func(disturb bool) []bool {
		s := New(42)
		mustAdd(t, s, Fault{Name: "x", Probability: 0.3})
		var got []bool
		for range 200 {
			if disturb {
				s.Strikes("x", Scope{Mailbox: "other"})
			}
			got = append(got, strikes(s, 1, Scope{Mailbox: "a"})...)
		}
		return got
	}
	a, b := draw(false), draw(true)
	hits := 0
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("question %d was answered %v, then %v", i, a[i], b[i])
		}
		if a[i] {
			hits++
		}
	}
	if hits < 30 || hits > 90 {
		t.Errorf("%d of 200 struck at probability 0.3", hits)
	}
}

func TestAFaultStrikesWithinItsScopeOnly(t *testing.T) {
	s := New(1)
	mustAdd(t, s, Fault{Name: "x", Scope: Scope{Mailbox: "a"}})
	if strikes(s, 1, Scope{Mailbox: "b"})[0] || !strikes(s, 1, Scope{Mailbox: "a", Server: "ex1"})[0] {
		t.Error("scope not respected")
	}
	if _, hit := s.Strikes("y", Scope{Mailbox: "a"}); hit {
		t.Error("a fault struck under another name")
	}
}

func TestAFaultEndsAfterItsCountAndItsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(1)
		mustAdd(t, s, Fault{Name: "x", Count: 2})
		if got := strikes(s, 3, Scope{}); !got[0] || !got[1] || got[2] {
			t.Errorf("count 2 struck %v", got)
		}
		f := mustAdd(t, s, Fault{Name: "x", For: Duration(time.Minute)})
		time.Sleep(59 * time.Second)
		if !strikes(s, 1, Scope{})[0] {
			t.Error("ended early")
		}
		time.Sleep(time.Second)
		if strikes(s, 1, Scope{})[0] || len(s.List()) != 0 || s.Remove(f.ID) {
			t.Error("outlived its life")
		}
	})
}

func TestBadFaultsAreRefused(t *testing.T) {
	s := New(1)
	mustAdd(t, s, Fault{ID: "f", Name: "x"})
	for _, f := range []Fault{{}, {Name: "x", Probability: 1.1}, {Name: "x", Probability: -1}, {Name: "x", Count: -1}, {ID: "f", Name: "x"}} {
		if _, err := s.Add(f); err == nil {
			t.Errorf("%+v was accepted", f)
		}
	}
}

func TestNobodyMisbehavesWithoutASet(t *testing.T) {
	var s *Set
	if _, hit := s.Strikes("x", Scope{}); hit {
		t.Error("a nil set struck")
	}
}
