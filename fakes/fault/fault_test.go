package fault

import (
	"math"
	"slices"
	"strings"
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
	for _, f := range []Fault{{}, {Name: "x", Probability: 1.1}, {Name: "x", Probability: -1}, {Name: "x", Count: -1}, {Name: "x", Count: CountMax + 1}, {Name: "x", Probability: math.NaN()}, {Name: "x", For: -1}, {Name: "x", For: Duration(LifeMax + 1)}, {ID: "f", Name: "x"}} {
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

// The draws about one mailbox follow from the seed and its own requests: not
// from other mailboxes, other faults, the server a request was routed to, or
// faults that come and go meanwhile.
func TestDrawsDoNotDependOnOtherFaultsOrRouting(t *testing.T) {
	draw := func(disturb bool) (got []bool) {
		s := New(7)
		if disturb {
			mustAdd(t, s, Fault{Name: "y", Probability: 0.5})
			mustAdd(t, s, Fault{Name: "x", Probability: 0.5, Scope: Scope{Mailbox: "b"}})
		}
		mustAdd(t, s, Fault{Name: "x", Probability: 0.3, Scope: Scope{Mailbox: "a"}})
		for i := range 200 {
			q := Scope{Mailbox: "a", Account: "svc", Server: "ex01"}
			if disturb {
				q.Server = []string{"ex01", "ex02", "ex03"}[i%3]
				s.Strikes("x", Scope{Mailbox: "b", Account: "svc"})
				s.Strikes("y", q)
				f := mustAdd(t, s, Fault{Name: "z", Probability: 0.1})
				s.Strikes("z", q)
				s.Remove(f.ID)
			}
			_, hit := s.Strikes("x", q)
			got = append(got, hit)
		}
		return got
	}
	alone, disturbed := draw(false), draw(true)
	for i := range alone {
		if alone[i] != disturbed[i] {
			t.Fatalf("question %d was answered %v alone and %v among others", i, alone[i], disturbed[i])
		}
	}
}

// Two faults of one name draw for themselves: the narrow one does not change
// what the wide one does to others.
func TestFaultsOfOneNameDrawApart(t *testing.T) {
	draw := func(second bool) (got []bool) {
		s := New(3)
		mustAdd(t, s, Fault{Name: "x", Probability: 0.4})
		if second {
			mustAdd(t, s, Fault{Name: "x", Probability: 0.4})
		}
		return strikes(s, 300, Scope{Mailbox: "a"})
	}
	one, two := draw(false), draw(true)
	hits, more := 0, 0
	for i := range one {
		if one[i] {
			hits++
			if !two[i] {
				t.Fatalf("question %d struck with one fault and not with two", i)
			}
		} else if two[i] {
			more++
		}
	}
	if hits < 80 || more < 40 {
		t.Errorf("one fault struck %d of 300, the second %d more; want about 120 and 72", hits, more)
	}
}

func TestScopesAreComparedAsDirectoriesDo(t *testing.T) {
	s := New(1)
	mustAdd(t, s, Fault{Name: "x", Scope: Scope{Mailbox: " Ada@Contoso.test ", Account: "SVC"}})
	if !strikes(s, 1, Scope{Mailbox: "ada@contoso.test", Account: "svc"})[0] {
		t.Error("a fault is lost for the case of its scope")
	}
}

func TestUnknownNamesAreRefusedWithTheNearest(t *testing.T) {
	s := New(1)
	s.Know(Name{"ews.busy", "is busy"}, Name{"ews.stream.cut", "cuts"})
	s.Know(Name{"apns.503", "is away"})
	mustAdd(t, s, Fault{Name: "ews.busy"})
	for name, want := range map[string]string{
		"ews.bussy":       `"ews.busy"`,
		"EWS.stream.cuts": `"ews.stream.cut"`,
		"apns503":         `"apns.503"`,
		"moonlight":       "GET /faults/names",
	} {
		if _, err := s.Add(Fault{Name: name}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s named", name, err, want)
		}
	}
	if got := s.Names(); len(got) != 3 || got[0].Name != "apns.503" || got[0].Does != "is away" {
		t.Errorf("names %v", got)
	}
}

func TestNamesAreReadFromPackageComments(t *testing.T) {
	got := ParseNames("// # Faults\n//\n//\tews.busy       says so; args ms\n//\t               and more\n//\twns.406, wns.429  throttled\n//\n// Not one: ews.other\n//\tbusy.   no name\n//\tmoved-in  no name\npackage x\n")
	want := []Name{{"ews.busy", "says so; args ms and more"}, {"wns.406", "throttled"}, {"wns.429", "throttled"}}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestASetIsBounded(t *testing.T) {
	s := New(1)
	for range FaultsMax {
		mustAdd(t, s, Fault{Name: "x"})
	}
	if _, err := s.Add(Fault{Name: "x"}); err == nil {
		t.Errorf("more than %d faults were taken", FaultsMax)
	}
}
