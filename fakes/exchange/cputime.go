package exchange

import (
	"fmt"
	"time"
)

// CPUBudget charges CPU time to the budgets of ordinary requests, as Exchange
// 2013 and later do: a balance starts at Burst, every request takes its cost
// from it, and it recharges all the time. Below zero each answer is delayed by
// as long as its cost takes to recharge; at the cut-off everything is refused
// with ErrorServerBusy and the time to wait.
//
// Real servers measure the time; here each request costs the same. How long
// they delay and how long they refuse is not published: the delay here, and
// [CPULockedFor], are what fits the reports.
type CPUBudget struct {
	Request  time.Duration // cost of one request; 0: CPURequestDefault
	Burst    time.Duration // 0: that of the version
	Recharge time.Duration // in an hour; 0: that of the version
	Cutoff   time.Duration // how far below zero; 0: that of the version
}

const (
	// CPURequestDefault is about what a small request costs. Unconfirmed.
	CPURequestDefault = 20 * time.Millisecond
	// CPULockedFor: back-offs just below 300,000 ms were seen in Exchange
	// Online. Unconfirmed elsewhere.
	CPULockedFor = 5 * time.Minute
	// CPUDelayMax bounds the delay of one answer. Unconfirmed.
	CPUDelayMax = 5 * time.Second
	// bucketsMax bounds the balances kept; those that are full again are
	// dropped.
	bucketsMax = 100_000
)

// bucket is one balance of CPU time.
type bucket struct {
	balance time.Duration
	at      time.Time // when balance was right
	locked  time.Time // everything is refused until then
}

// addCPU completes Options.CPU.
func (o *Organisation) addCPU() error {
	if o.options.CPU == nil {
		return nil
	}
	c, b := *o.options.CPU, o.behaviour
	if b.CPURecharge == 0 {
		return fmt.Errorf("exchange: CPU: Exchange %s has no CPU-time budget; leave it out", b.Version)
	}
	for _, f := range []struct {
		name string
		v    *time.Duration
		def  time.Duration
	}{{"Request", &c.Request, CPURequestDefault}, {"Burst", &c.Burst, b.CPUBurst}, {"Recharge", &c.Recharge, b.CPURecharge}, {"Cutoff", &c.Cutoff, b.CPUCutoff}} {
		if *f.v < 0 {
			return fmt.Errorf("exchange: CPU.%s: %s is negative", f.name, *f.v)
		}
		if *f.v == 0 {
			*f.v = f.def
		}
	}
	o.cpu = c
	return nil
}

// spend takes a cost from a balance: the answer is delayed, or refused.
func (o *Organisation) spend(c Charge, cost time.Duration) (delay time.Duration, _ *Error) {
	if o.options.CPU == nil || o.unthrottled {
		return 0, nil
	}
	t := time.Now()
	b := o.budget.cpu[c]
	if b == nil {
		o.dropFullBuckets()
		b = &bucket{balance: o.cpu.Burst, at: t}
		o.budget.cpu[c] = b
	}
	o.recharge(b, t)
	if !t.Before(b.locked) {
		b.balance -= cost
		if b.balance > -o.cpu.Cutoff {
			if b.balance >= 0 {
				return 0, nil
			}
			o.budget.delayed[c.Account]++
			return min(time.Duration(float64(cost)*float64(time.Hour)/float64(o.cpu.Recharge)), CPUDelayMax), nil
		}
		b.locked = t.Add(CPULockedFor)
	}
	o.budget.violate(c.Account, c.Mailbox, PolicyCPU)
	return 0, refuse(CodeServerBusy, Value{"BackOffMilliseconds", fmt.Sprint(b.locked.Sub(t).Milliseconds())})
}

func (o *Organisation) recharge(b *bucket, t time.Time) {
	b.balance = min(b.balance+time.Duration(float64(t.Sub(b.at))/float64(time.Hour)*float64(o.cpu.Recharge)), o.cpu.Burst)
	b.at = t
}

func (o *Organisation) dropFullBuckets() {
	if len(o.budget.cpu) < bucketsMax {
		return
	}
	t := time.Now()
	for c, b := range o.budget.cpu {
		if o.recharge(b, t); b.balance == o.cpu.Burst {
			delete(o.budget.cpu, c)
		}
	}
}
