package watch

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestAnAccountWhoseExchangeIsSlowHoldsUpItsOwnMailboxesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, quick := &account{}, &account{}
		lanes := map[*mailbox]*account{}
		q := newRunqueue(func(m *mailbox) *account { return lanes[m] }, 2)
		var waiting, others []*mailbox
		for range 100 {
			waiting, others = append(waiting, &mailbox{}), append(others, &mailbox{})
		}
		for i := range waiting {
			lanes[waiting[i]], lanes[others[i]] = slow, quick
		}
		for _, m := range waiting { // they were first
			q.push(m)
		}
		for _, m := range others {
			q.push(m)
		}
		var mu sync.Mutex
		done := map[*mailbox]time.Duration{}
		began := time.Now()
		var workers sync.WaitGroup
		for range 4 {
			workers.Go(func() {
				q.work(func(m *mailbox) {
					if lanes[m] == slow {
						time.Sleep(time.Minute)
					} else {
						time.Sleep(time.Second)
					}
					mu.Lock()
					defer mu.Unlock()
					done[m] = time.Since(began)
				})
			})
		}
		time.Sleep(2 * time.Hour)
		q.close()
		workers.Wait()
		for i, m := range others {
			if at := done[m]; at != time.Duration(i/2+1)*time.Second {
				t.Errorf("mailbox %d of the quick account after %s", i, at)
			}
		}
		for i, m := range waiting {
			if at := done[m]; at != time.Duration(i/2+1)*time.Minute {
				t.Errorf("mailbox %d of the slow account after %s", i, at)
			}
		}
	})
}

func TestAMailboxThatChangesItsAccountIsNeverWithTwoWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := &account{}, &account{}
		m := &mailbox{}
		var mu sync.Mutex
		at, busy, times := from, 0, []int{}
		q := newRunqueue(func(*mailbox) *account { mu.Lock(); defer mu.Unlock(); return at }, 1)
		var workers sync.WaitGroup
		for range 4 {
			workers.Go(func() {
				q.work(func(*mailbox) {
					mu.Lock()
					busy++
					times = append(times, busy)
					at = to
					mu.Unlock()
					q.push(m) // for the other account's lane
					time.Sleep(time.Minute)
					mu.Lock()
					busy--
					mu.Unlock()
				})
			})
		}
		q.push(m)
		time.Sleep(150 * time.Second)
		q.close()
		workers.Wait()
		if !slices.Equal(times, []int{1, 1, 1}) {
			t.Errorf("with so many workers at a time: %v", times)
		}
	})
}
