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

// Files of a CPU profile, beside the report.
const (
	cpuProfile = "notifier.cpu.pprof"
	cpuPicture = "notifier.cpu.svg"
)

const (
	// profileSecondsMax bounds the CPU profile of a load: its first part.
	profileSecondsMax = 60
	// profileBurstSeconds is that of Burst, which is over soon.
	profileBurstSeconds = 2
	// profileBytesMax bounds a profile.
	profileBytesMax = 64 << 20
)

// pprof keeps a profile of the notifier beside the report, for go tool pprof.
func (r *run) pprof(ctx context.Context, what, file string) (err error) {
	if r.admin == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, profileSecondsMax*time.Second+callTimeout)
	defer cancel()
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
	_, err = io.Copy(out, io.LimitReader(resp.Body, profileBytesMax))
	return errors.Join(err, out.Close())
}

// pprofCPU takes a CPU profile from the beginning of the load on.
func (l *load) pprofCPU(ctx context.Context) {
	if !l.o.CPUProfile {
		return
	}
	wait(ctx, time.Until(l.start))
	seconds := min(max(int(l.o.Duration.Seconds()), 1), profileSecondsMax)
	if l.o.Profile == Burst {
		seconds = profileBurstSeconds
	}
	err := l.pprof(ctx, fmt.Sprintf("profile?seconds=%d", seconds), cpuProfile)
	if err == nil {
		err = drawProfile(filepath.Join(l.o.Dir, cpuProfile), filepath.Join(l.o.Dir, cpuPicture), "The notifier under load")
	}
	if err != nil {
		l.say("no CPU profile: %v", err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.picture = cpuPicture
}
