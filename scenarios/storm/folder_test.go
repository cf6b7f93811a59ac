package storm

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"mailbell/scenarios/oracle"
	"mailbell/scenarios/timeline"
)

// folder leaves everything about a storm that failed, and says where and how to
// play it again.
func (s *storm) folder(r oracle.Report, log []byte) string {
	again := fmt.Sprintf("MAILBELL_STORM_SEEDS=%d go test ./scenarios/storm", s.p.Seed)
	dir := filepath.Join("..", "..", ".scratch", "storm", fmt.Sprintf("seed-%d", s.p.Seed))
	message := fmt.Sprintf("%s\n%s\nagain: %s\nfolder: .scratch/storm/seed-%d", r, s.p, again, s.p.Seed)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return message + " (not written: " + err.Error() + ")"
	}
	var journal strings.Builder
	enc := json.NewEncoder(&journal)
	for _, e := range s.w.Journal.After(0) {
		if err := enc.Encode(e); err != nil {
			return message + " (not written: " + err.Error() + ")"
		}
	}
	var page strings.Builder
	if err := timeline.Write(&page, s.p.String(), s.w.Journal.After(0)); err != nil {
		return message + " (not written: " + err.Error() + ")"
	}
	for name, text := range map[string]string{"timeline.html": page.String(), "report.txt": message + "\n", "journal.jsonl": journal.String(), "notifier.log": string(log)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return message + " (not written: " + err.Error() + ")"
		}
	}
	return message
}
