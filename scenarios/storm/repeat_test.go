package storm

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"mailbell/fakes/journal"
	"mailbell/scenarios/world"
)

// How well a seed repeats a run is measured by make repeat: with one processor,
// each storm is played twice and the journals are compared. What has to repeat is
// everything that the seed decides; how far the rest does is reported.
var _ = Describe("A storm played twice on one processor", Label("virtual"), Ordered, ContinueOnFailure, func() {
	list := seedsOf("MAILBELL_STORM_REPEAT", "1")
	repeated, order := 0, 0

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
			given := [2][]string{trace(runs[0], decided), trace(runs[1], decided)}
			at := difference(given[0], given[1])
			Expect(at).To(BeNumerically("<", 0), "entry %d is\n%s\n%s", at, line(given[0], at), line(given[1], at))
			whole := [2][]string{trace(runs[0], anything), trace(runs[1], anything)}
			at = difference(whole[0], whole[1])
			switch {
			case at < 0:
				repeated++
				AddReportEntry("repeats", fmt.Sprintf("seed %d: all %d entries", seed, len(whole[0])), ReportEntryVisibilityFailureOrVerbose)
			case sameTimes(runs[0], runs[1]):
				order++
				fallthrough
			default:
				AddReportEntry("differs", fmt.Sprintf("seed %d from entry %d of %d on:\n  %s\n  %s", seed, at+1, len(whole[0]), line(whole[0], at), line(whole[1], at)), ReportEntryVisibilityFailureOrVerbose)
			}
		})
	}
	AfterAll(func() {
		AddReportEntry("share", fmt.Sprintf("%d of %d seeds repeat their whole journal, %d more all of it but for the order within one moment", repeated, len(list), order))
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

// sameTimes says whether two journals hold the same entries but for their order.
func sameTimes(a, b []journal.Entry) bool {
	count := map[string]int{}
	for _, e := range a {
		count[moment(e)]++
	}
	for _, e := range b {
		count[moment(e)]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}
