package storm

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"mailbell/fakes/journal"
	"mailbell/scenarios/world"
)

// How well a seed repeats a run is measured by make repeat: with one processor,
// each storm is played twice and the journals are compared. What has to repeat is
// everything that the seed decides. The rest does in part only: the notifier draws
// its waits from the runtime's source, which cannot be seeded, and maps and selects
// have no order.
var _ = Describe("A storm played twice on one processor", Label("virtual"), Ordered, ContinueOnFailure, func() {
	list := seedsOf("MAILBELL_STORM_REPEAT", "1")
	whole := 0
	var shares []float64

	BeforeAll(func() {
		before := runtime.GOMAXPROCS(1)
		DeferCleanup(func() { runtime.GOMAXPROCS(before) })
	})
	for _, seed := range list {
		It(fmt.Sprintf("with seed %d has the same mails and misfortunes at the same times", seed), func() {
			var runs [2][]journal.Entry
			for i := range runs {
				world.Bubble(func() { runs[i] = play(Draw(seed)) })
			}
			a, b := trace(runs[0], decided), trace(runs[1], decided)
			at := difference(a, b)
			Expect(at).To(BeNumerically("<", 0), "entry %d is\n%s\n%s", at, line(a, at), line(b, at))

			a, b = trace(runs[0], anything), trace(runs[1], anything)
			if at = difference(a, b); at < 0 {
				whole++
			}
			shares = append(shares, common(a, b))
			AddReportEntry("seed", fmt.Sprintf("seed %d: %d entries, %.1f %% of them in both runs at the same time; first difference:\n  %s\n  %s",
				seed, len(a), 100*shares[len(shares)-1], line(a, at), line(b, at)), ReportEntryVisibilityFailureOrVerbose)
		})
	}
	AfterAll(func() {
		if slices.Sort(shares); len(shares) > 0 {
			AddReportEntry("share", fmt.Sprintf("%d of %d seeds repeat their whole journal; entries in both runs at the same time: least %.1f %%, median %.1f %%, most %.1f %%",
				whole, len(list), 100*shares[0], 100*shares[len(shares)/2], 100*shares[len(shares)-1]))
		}
	})
})

// decided are the entries that are the seed's alone.
func decided(e journal.Entry) bool {
	return e.Server == "story" || e.Server == "exchange" && e.Kind == "mail"
}

func anything(journal.Entry) bool { return true }

// trace is what happened, in order, without what is random in every run: keys,
// and the names made of them.
func trace(entries []journal.Entry, which func(journal.Entry) bool) (list []string) {
	for _, e := range entries {
		if which(e) {
			list = append(list, moment(e))
		}
	}
	return list
}

func moment(e journal.Entry) string {
	return strings.Join([]string{e.Time.Format(time.RFC3339Nano), e.Server, e.Kind, e.Operation, fmt.Sprint(e.Status), e.Reason, e.Fault, e.Mailbox, e.Item, e.Detail["subject"], e.Detail["text"]}, " ")
}

// difference is the first index at which two lists differ, or -1.
func difference(a, b []string) int {
	for i := range max(len(a), len(b)) {
		if line(a, i) != line(b, i) {
			return i
		}
	}
	return -1
}

func line(list []string, i int) string {
	if i >= 0 && i < len(list) {
		return list[i]
	}
	return "nothing"
}

// common is the share of a's entries that b has too.
func common(a, b []string) float64 {
	count := map[string]int{}
	for _, e := range b {
		count[e]++
	}
	both := 0
	for _, e := range a {
		if count[e] > 0 {
			count[e]--
			both++
		}
	}
	return float64(both) / float64(len(a))
}
