package loadgen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// profileSecondsMax bounds the CPU profile of a load: its first part.
const (
	profileSecondsMax   = 60
	profileBurstSeconds = 2
)

// profile keeps a profile of the notifier beside the report, for go tool pprof.
func (r *run) profile(ctx context.Context, what, file string) (err error) {
	if r.admin == "" {
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.admin+"/debug/pprof/"+what, nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", what, resp.Status)
	}
	out, err := os.Create(filepath.Join(r.o.Dir, file))
	if err != nil {
		return err
	}
	_, err = io.Copy(out, resp.Body)
	return errors.Join(err, out.Close())
}

// profileLoad takes a CPU profile from the beginning of the load on.
func (l *load) profileLoad(ctx context.Context) {
	if !l.o.Profiled {
		return
	}
	wait(ctx, time.Until(l.start))
	seconds := min(max(int(l.o.Duration.Seconds()), 1), profileSecondsMax)
	if l.o.Profile == Burst {
		seconds = profileBurstSeconds // it is over soon
	}
	if err := l.profile(ctx, fmt.Sprintf("profile?seconds=%d", seconds), "notifier.cpu.pprof"); err != nil {
		l.say("no CPU profile: %v", err)
	}
}
