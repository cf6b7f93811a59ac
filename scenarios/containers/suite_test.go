// Package containers runs the fakes as strangers do: as an image, reached from
// outside over mapped ports. It needs a container engine, and pulls nothing.
package containers

import (
	"archive/tar"
	"bytes"
	"context"
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

// repository names the image under test.
const repository = "mailbell/fakes-under-test"

func TestContainers(t *testing.T) {
	RegisterFailHandler(Fail)
	if err := engine(t.Context()); err != nil {
		testtool.Docker.Missing(t, "the fakes were not run as an image: "+err.Error())
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

// image is the tag that was built.
var image string

var _ = SynchronizedBeforeSuite(func(ctx SpecContext) []byte {
	sweep(ctx)
	root := filepath.Join("..", "..")
	dir := GinkgoT().TempDir()
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, "fakes"), "./cmd/fakes")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	said, err := build.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", said)
	binary, err := os.ReadFile(filepath.Join(dir, "fakes"))
	Expect(err).NotTo(HaveOccurred())
	dockerfile, err := os.ReadFile(filepath.Join(root, "cmd", "fakes", "Dockerfile"))
	Expect(err).NotTo(HaveOccurred())
	p, err := testcontainers.NewDockerProvider()
	Expect(err).NotTo(HaveOccurred())
	defer p.Close()
	tag, err := p.BuildImage(ctx, &testcontainers.ContainerRequest{FromDockerfile: testcontainers.FromDockerfile{
		ContextArchive: buildContext(dockerfile, binary), Repo: repository, Tag: "dev", KeepImage: true, BuildLogWriter: GinkgoWriter,
	}})
	Expect(err).NotTo(HaveOccurred())
	return []byte(tag)
}, func(tag []byte) { image = string(tag) }, NodeTimeout(5*time.Minute))

// buildContext is what the Dockerfile finds beside it.
func buildContext(dockerfile, binary []byte) io.ReadSeeker {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range []struct {
		name string
		mode int64
		text []byte
	}{{"Dockerfile", 0o644, dockerfile}, {"fakes", 0o755, binary}} {
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
	list, err := cli.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("ancestor", repository+":dev")})
	Expect(err).NotTo(HaveOccurred())
	for _, c := range list.Items {
		_, err := cli.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true})
		Expect(err).NotTo(HaveOccurred())
	}
}
