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
	const already = "ran already"
	instead := map[string]string{}
	if r.o.ReadyFile != "" {
		instead["fakes"] = already
	}
	switch {
	case r.o.API != "":
		instead["notifier"] = already
	case r.o.Peer != nil:
		instead["notifier"] = "none, but a peer"
	}
	for _, p := range []struct {
		name    string
		path    *string
		version *string
	}{{"notifier", &r.o.Notifier, &r.report.Versions.Notifier}, {"fakes", &r.o.Fakes, &r.report.Versions.Fakes}} {
		switch {
		case instead[p.name] != "":
			*p.version = instead[p.name]
			continue
		case *p.path == "":
			r.say("building %s", p.name)
			if err := build(ctx, p.name, r.work, p.path); err != nil {
				return err
			}
		}
		*p.version = versionOf(*p.path)
	}
	if info, err := os.Stat(r.o.Notifier); err == nil && instead["notifier"] == "" {
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
