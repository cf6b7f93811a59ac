package loadgen

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// programs builds what is not given, static and stripped as a release is, and
// notes what will run.
func (r *run) programs(ctx context.Context) error {
	r.report.Versions.Go = runtime.Version()
	for _, p := range []struct {
		name    string
		path    *string
		running bool
		version *string
	}{{"notifier", &r.o.Notifier, r.o.API != "" || r.o.Peer != nil, &r.report.Versions.Notifier}, {"fakes", &r.o.Fakes, r.o.ReadyFile != "", &r.report.Versions.Fakes}} {
		switch {
		case p.running:
			*p.version = "ran already"
			if r.o.Peer != nil && p.name == "notifier" {
				*p.version = "none, but a peer"
			}
			continue
		case *p.path == "":
			r.say("building %s", p.name)
			if err := build(ctx, p.name, r.work, p.path); err != nil {
				return err
			}
		}
		*p.version = versionOf(*p.path)
	}
	if info, err := os.Stat(r.o.Notifier); err == nil && r.o.API == "" && r.o.Peer == nil {
		r.report.Notifier.BinaryMB = mebibytes(info.Size())
	}
	return nil
}

func build(ctx context.Context, name, dir string, path *string) error {
	*path = filepath.Join(dir, name)
	if runtime.GOOS == "windows" {
		*path += ".exe"
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", *path, "mailbell/cmd/"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w (call it within the repository, or give --%s)\n%s", name, err, name, out)
	}
	return nil
}

// versionOf is the commit that a Go program was built from, and with what.
func versionOf(program string) string {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "unknown"
	}
	revision, modified := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = ", with changes"
		}
	}
	return or(revision, "unknown commit") + modified + ", " + info.GoVersion
}
