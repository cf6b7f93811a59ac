package loadgen

import "context"

// growthSteps are the numbers of devices at which Growth stops to look.
var growthSteps = []int{1_000, 3_000, 10_000, 15_000, 30_000, 100_000}

// Step is a look at the notifier at rest with so many devices.
type Step struct {
	Devices   int      `json:"devices"`
	Mailboxes int      `json:"mailboxes"`
	RSSMB     *float64 `json:"rss_mb"`
	CPUShare  *float64 `json:"cpu_share"` // of a core
}

// grow registers the population up to its last step, and returns how many devices
// are registered then.
func (r *run) grow(ctx context.Context) (registered int, err error) {
	for _, n := range growthSteps {
		if n > len(r.population.Devices) {
			break
		}
		if err := r.enrolment.register(ctx, r.population, registered, n); err != nil {
			return registered, err
		}
		registered = n
		mailboxes := r.population.Devices[n-1].Mailbox + 1
		if err := r.awaitStreams(ctx, mailboxes); err != nil {
			return registered, err
		}
		if r.notifier == nil {
			continue
		}
		s := Step{Devices: n, Mailboxes: mailboxes}
		s.RSSMB, s.CPUShare = r.rest(ctx)
		r.report.Growth = append(r.report.Growth, s)
		if s.RSSMB != nil {
			r.say("%s devices, %s mailboxes at rest: %.0f MiB, %.2f %% of a core", thousands(n), thousands(mailboxes), *s.RSSMB, 100**s.CPUShare)
		}
	}
	return registered, nil
}
