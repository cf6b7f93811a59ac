// Package containers runs the programs as strangers do: as images, reached from
// outside over mapped ports. The fakes by themselves; and the notifier in a
// container of 2 CPUs and 4 GiB beside an engine and fakes in theirs, with real
// kills and a real network that is taken away. It needs a container engine, and
// pulls nothing.
package containers

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/moby/moby/client"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/testcontainers/testcontainers-go"

	"mailbell/fakes/testtool"
)

// testcontainers reads its configuration once, at its first call. Ryuk would
// have to be pulled; the override keeps it from taking this machine for a
// container where it carries Docker's marker file.
func init() {
	for name, value := range map[string]string{"TESTCONTAINERS_RYUK_DISABLED": "true", "TESTCONTAINERS_HOST_OVERRIDE": "127.0.0.1"} {
		if err := os.Setenv(name, value); err != nil {
			panic(err) // the names are good
		}
	}
}

// repository begins the names of the images under test.
const repository = "mailbell/under-test-"

func TestContainers(t *testing.T) {
	RegisterFailHandler(Fail)
	if err := engine(t.Context()); err != nil {
		testtool.Docker.Missing(t, "nothing was run as an image: "+err.Error())
	}
	RunSpecs(t, "Containers")
}

// engine says what is wrong with the container engine.
func engine(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil { // testcontainers panics without a socket
			err = fmt.Errorf("%v", r)
		}
	}()
	p, err := testcontainers.NewDockerProvider()
	if err != nil {
		return err
	}
	defer p.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return p.Health(ctx)
}

// images are the tags that were built, by program.
var images map[string]string

// programs are run as images: where their source is, and how the image is made.
var programs = map[string]struct{ source, dockerfile string }{
	"fakes":    {"./cmd/fakes", "cmd/fakes/Dockerfile"},
	"notifier": {"./cmd/notifier", "cmd/notifier/Dockerfile"},
	// An engine of its own: the server that the notifier embeds otherwise.
	"nats-server": {"github.com/nats-io/nats-server/v2", ""},
}

const natsDockerfile = "FROM scratch\nCOPY nats-server /nats-server\nENTRYPOINT [\"/nats-server\"]\n"

var _ = SynchronizedBeforeSuite(func(ctx SpecContext) []byte {
	sweep(ctx)
	tags := map[string]string{}
	for name := range programs {
		tags[name] = build(ctx, name)
	}
	text, err := json.Marshal(tags)
	Expect(err).NotTo(HaveOccurred())
	return text
}, func(text []byte) { Expect(json.Unmarshal(text, &images)).To(Succeed()) }, NodeTimeout(10*time.Minute))

// build makes the image of a program and returns its tag.
func build(ctx context.Context, name string) string {
	GinkgoHelper()
	root, p := filepath.Join("..", ".."), programs[name]
	out := filepath.Join(GinkgoT().TempDir(), name)
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, p.source)
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	said, err := build.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", said)
	binary, err := os.ReadFile(out)
	Expect(err).NotTo(HaveOccurred())
	dockerfile := []byte(natsDockerfile)
	if p.dockerfile != "" {
		dockerfile, err = os.ReadFile(filepath.Join(root, p.dockerfile))
		Expect(err).NotTo(HaveOccurred())
	}
	provider, err := testcontainers.NewDockerProvider()
	Expect(err).NotTo(HaveOccurred())
	defer provider.Close()
	tag, err := provider.BuildImage(ctx, &testcontainers.ContainerRequest{FromDockerfile: testcontainers.FromDockerfile{
		ContextArchive: buildContext(dockerfile, name, binary), Repo: repository + name, Tag: "dev", KeepImage: true, BuildLogWriter: GinkgoWriter,
	}})
	Expect(err).NotTo(HaveOccurred())
	return tag
}

// buildContext is what the Dockerfile finds beside it.
func buildContext(dockerfile []byte, name string, binary []byte) io.ReadSeeker {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range []struct {
		name string
		mode int64
		text []byte
	}{{"Dockerfile", 0o644, dockerfile}, {name, 0o755, binary}} {
		Expect(w.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.text))})).To(Succeed())
		_, err := w.Write(f.text)
		Expect(err).NotTo(HaveOccurred())
	}
	Expect(w.Close()).To(Succeed())
	return bytes.NewReader(b.Bytes())
}

// sweep removes what an earlier run that was killed left behind: nothing else
// does without Ryuk.
func sweep(ctx context.Context) {
	cli, err := testcontainers.NewDockerClientWithOpts(ctx)
	Expect(err).NotTo(HaveOccurred())
	defer cli.Close()
	for name := range programs {
		list, err := cli.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("ancestor", repository+name+":dev")})
		Expect(err).NotTo(HaveOccurred())
		for _, c := range list.Items {
			_, err := cli.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true})
			Expect(err).NotTo(HaveOccurred())
		}
	}
	networks, err := cli.NetworkList(ctx, client.NetworkListOptions{Filters: make(client.Filters).Add("label", networkLabel)})
	Expect(err).NotTo(HaveOccurred())
	for _, n := range networks.Items {
		_, err := cli.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
		Expect(err).NotTo(HaveOccurred())
	}
}
