package loadgen

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func planOf(t testing.TB, o PlanOptions) Plan {
	t.Helper()
	p, err := NewPlan(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestThePlanIsTheSeedsAndNothingElse(t *testing.T) {
	o := PlanOptions{Profile: AllHands, Rate: 50, Duration: time.Minute, Mailboxes: 40, Seed: 7}
	a, b := planOf(t, o), planOf(t, o)
	if !reflect.DeepEqual(a.Slots, b.Slots) {
		t.Error("the same options gave two plans")
	}
	o.Seed++
	if reflect.DeepEqual(a.Slots, planOf(t, o).Slots) {
		t.Error("another seed gave the same plan")
	}
}

func TestEveryPlanIsInOrderAndWithinItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := PlanOptions{
			Profile: rapid.SampledFrom(Profiles).Draw(t, "profile"), Rate: rapid.Float64Range(0, 200).Draw(t, "rate"),
			Duration: time.Duration(rapid.Int64Range(1, int64(20*time.Second)).Draw(t, "duration")), Mailboxes: rapid.IntRange(1, 500).Draw(t, "mailboxes"), Seed: rapid.Uint64().Draw(t, "seed"),
		}
		p, err := NewPlan(o)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.IsSortedFunc(p.Slots, func(a, b Slot) int { return int(a.At - b.At) }) {
			t.Error("not in order")
		}
		everybody := 0
		for _, s := range p.Slots {
			if s.At < 0 || s.At >= o.Duration || s.To < everyone || s.To >= o.Mailboxes {
				t.Errorf("slot %+v", s)
			}
			if s.To == everyone {
				everybody++
			}
		}
		if want := map[bool]int{true: 1}[o.Profile == Burst || o.Profile == AllHands]; everybody != want {
			t.Errorf("%d all-hands mails, want %d", everybody, want)
		}
	})
}

func TestArrivalsArePoissonAtTheGivenRate(t *testing.T) {
	const rate, seconds = 100, 400
	p := planOf(t, PlanOptions{Profile: Steady, Rate: rate, Duration: seconds * time.Second, Mailboxes: 10, Seed: 3})
	// The variance of the number in a second is its mean; paced arrivals have none.
	counts := make([]float64, seconds)
	for _, s := range p.Slots {
		counts[int(s.At.Seconds())]++
	}
	mean, variance := 0.0, 0.0
	for _, c := range counts {
		mean += c / seconds
	}
	for _, c := range counts {
		variance += (c - mean) * (c - mean) / (seconds - 1)
	}
	if math.Abs(mean-rate) > 3 || variance/mean < 0.75 || variance/mean > 1.25 {
		t.Errorf("mean %.1f, variance %.1f", mean, variance)
	}
}

func TestAPeakIsInTheMiddle(t *testing.T) {
	p := planOf(t, PlanOptions{Profile: Peak, Rate: 50, Duration: 300 * time.Second, Mailboxes: 10, Seed: 3})
	var thirds [3]int
	for _, s := range p.Slots {
		thirds[int(s.At/(100*time.Second))]++
	}
	for i, third := range thirds { // the integral of the rate over the third
		want := 0.0
		for at := range 100 {
			want += p.Rate(time.Duration(100*i+at) * time.Second)
		}
		if math.Abs(float64(third)-want) > 0.05*want {
			t.Errorf("third %d: %d mails, want about %.0f", i, third, want)
		}
	}
	if thirds[1] <= thirds[0] || thirds[1] <= thirds[2] {
		t.Errorf("%v", thirds)
	}
}

func TestWrongPlansAreRefusedByName(t *testing.T) {
	good := PlanOptions{Profile: Steady, Rate: 1, Duration: time.Second, Mailboxes: 1}
	for name, spoil := range map[string]func(*PlanOptions){
		"no mailbox":     func(o *PlanOptions) { o.Mailboxes = 0 },
		"negative rate":  func(o *PlanOptions) { o.Rate = -1 },
		"no duration":    func(o *PlanOptions) { o.Duration = 0 },
		"unknown shape":  func(o *PlanOptions) { o.Profile = "zigzag" },
		"too many mails": func(o *PlanOptions) { o.Rate, o.Duration = 1e6, time.Hour },
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			spoil(&o)
			if _, err := NewPlan(o); !errors.Is(err, ErrUsage) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestAPopulationHasSoManyDevicesAndNoMailboxWithoutOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, most := rapid.IntRange(1, 3000).Draw(t, "devices"), rapid.IntRange(1, PerMailboxMax).Draw(t, "most")
		p, err := NewPopulation(n, most, rapid.Uint64().Draw(t, "seed"))
		if err != nil || len(p.Devices) != n {
			t.Fatalf("%d devices, %v", len(p.Devices), err)
		}
		sum := 0
		for m := range p.Size() {
			from, to := p.Of(m)
			if to-from < 1 || to-from > most || from != sum {
				t.Fatalf("mailbox %d has devices %d to %d", m, from, to)
			}
			for _, d := range p.Devices[from:to] {
				if d.Mailbox != m {
					t.Fatalf("device %s is of mailbox %d", d.ID, d.Mailbox)
				}
			}
			sum = to
		}
		if sum != n {
			t.Errorf("%d devices have a mailbox", sum)
		}
	})
}

func TestBothPlatformsAreThere(t *testing.T) {
	p, err := NewPopulation(1000, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	windows := 0
	for _, d := range p.Devices {
		if d.Platform == Windows {
			windows++
		}
	}
	if windows < 150 || windows > 250 {
		t.Errorf("%d of 1000 run Windows", windows)
	}
}
