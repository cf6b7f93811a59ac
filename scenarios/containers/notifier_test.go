package containers

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	dockerclient "github.com/moby/moby/client"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/testcontainers/testcontainers-go"
	tcnetwork "github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"

	"mailbell/fakes/client"
	"mailbell/fakes/fakedevice"
	"mailbell/fakes/journal"
	"mailbell/fakes/testcert"
	"mailbell/scenarios/oracle"
)

// networkLabel marks the networks of this suite.
const networkLabel = "mailbell.under-test"

// The host that the reference product asks for.
const (
	cpus   = 2
	memory = 4 << 30 // bytes
)

// stage is an extender host, an engine and the outside world, each a container.
type stage struct {
	world     *client.World
	docker    *testcontainers.DockerClient
	network   *testcontainers.DockerNetwork
	engine    testcontainers.Container
	notifier  testcontainers.Container
	authority *testcert.Authority // of the engine and the registration service
	enrolment *fakedevice.Authority
	device    *journal.Journal // what the devices did
	devices   []*fakedevice.Device
	ctx       context.Context
}

func newStage(ctx context.Context) *stage {
	GinkgoHelper()
	s := &stage{ctx: ctx, device: journal.New()}
	var err error
	s.authority, err = testcert.NewAuthority()
	Expect(err).NotTo(HaveOccurred())
	s.enrolment, err = fakedevice.NewAuthority()
	Expect(err).NotTo(HaveOccurred())
	s.docker, err = testcontainers.NewDockerClientWithOpts(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(s.docker.Close)
	s.network, err = tcnetwork.New(ctx, tcnetwork.WithLabels(map[string]string{networkLabel: "yes"}))
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx SpecContext) { Expect(s.network.Remove(ctx)).To(Succeed()) })

	fakes := s.run(part{
		program: "fakes", alias: "fakes", port: "8600/tcp", ready: wait.ForHTTP("/ready"),
		args: []string{"--advertise=fakes", "--profile=calm", "--mailboxes=20"},
	})
	s.world, err = client.Dial(ctx, "http://"+mapped(ctx, fakes, "8600/tcp"))
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(s.world.Close)
	chain, key := s.certificate("engine")
	s.engine = s.run(part{
		program: "nats-server", alias: "engine", port: "8222/tcp", ready: wait.ForHTTP("/healthz"),
		args: []string{"--config=/etc/nats/nats.conf"},
		files: map[string]string{
			"/etc/nats/tls.crt": chain, "/etc/nats/tls.key": key,
			"/etc/nats/nats.conf": `port: 4222, http: 8222
jetstream { store_dir: /data, max_file_store: 8589934592 }
tls { cert_file: /etc/nats/tls.crt, key_file: /etc/nats/tls.key }`,
		},
	})
	s.notifier = s.run(part{
		program: "notifier", alias: "extender", port: "8443/tcp", files: s.configuration(), limited: true,
		ready: wait.ForHTTP("/healthz").WithTLS(true, &tls.Config{RootCAs: s.authority.Pool(), ServerName: "extender"}),
	})
	return s
}

// part is a container of the stage.
type part struct {
	program, alias, port string
	ready                *wait.HTTPStrategy // at the port
	args                 []string           // nil: as the image has them
	files                map[string]string
	limited              bool // to cpus and memory
}

// run starts a container and waits until it answers.
func (s *stage) run(p part) testcontainers.Container {
	GinkgoHelper()
	options := []testcontainers.ContainerCustomizer{
		tcnetwork.WithNetwork([]string{p.alias}, s.network), testcontainers.WithExposedPorts(p.port),
		testcontainers.WithWaitStrategyAndDeadline(time.Minute, p.ready.WithPort(p.port)),
	}
	if p.args != nil {
		options = append(options, testcontainers.WithCmd(p.args...))
	}
	if p.limited {
		options = append(options, testcontainers.WithHostConfigModifier(func(h *container.HostConfig) {
			h.NanoCPUs, h.Memory, h.MemorySwap = cpus*1e9, memory, memory
		}))
	}
	for name, text := range p.files {
		options = append(options, testcontainers.WithFiles(testcontainers.ContainerFile{Reader: strings.NewReader(text), ContainerFilePath: name, FileMode: 0o600}))
	}
	c, err := testcontainers.Run(s.ctx, images[p.program], options...)
	testcontainers.CleanupContainer(GinkgoTB(), c)
	if err != nil && c != nil {
		AddReportEntry("log of "+p.program, logOf(s.ctx, c))
	}
	Expect(err).NotTo(HaveOccurred())
	return c
}

func (s *stage) certificate(name string) (chain, key string) {
	GinkgoHelper()
	cert, err := s.authority.Server(name)
	Expect(err).NotTo(HaveOccurred())
	c, k, err := testcert.KeyPairPEM(cert)
	Expect(err).NotTo(HaveOccurred())
	return string(c), string(k)
}

// configuration is what an operator would write, with the files it names.
func (s *stage) configuration() map[string]string {
	GinkgoHelper()
	r := s.world.Ready()
	apnsKey, err := s.world.ProviderKey(s.ctx)
	Expect(err).NotTo(HaveOccurred())
	authorities, err := s.world.Authorities(s.ctx)
	Expect(err).NotTo(HaveOccurred())
	chain, key := s.certificate("extender")
	var hosts strings.Builder
	for from, to := range r.Hosts {
		fmt.Fprintf(&hosts, "    '%s': '%s'\n", from, to)
	}
	yaml := fmt.Sprintf(`
engine: {url: 'tls://engine:4222', ca_file: own-ca.pem, encryption_key_file: engine.key}
exchange:
  accounts:
    - {name: listener, user: '%s', password_file: listener.password}
push:
  apns:
    - {environment: production, key_file: apns.p8, key_id: %s, team_id: %s}
  wns:
    - {name: %s, kind: partner-center, package_sid: '%s', secret_file: wns.secret}
policy:
  - mailboxes: ['*']
api: {listen: ':8443', certificate_file: api.crt, key_file: api.key, authority_keys: [enrolment.pem]}
network:
  ca_file: ca.pem
  hosts:
%slog: {format: text, level: info}
`, r.Listener.User, r.Push.KeyID, r.Push.TeamID, r.Push.WNSApp, r.Push.PackageSID, hosts.String())
	files := map[string]string{}
	for name, text := range map[string]string{
		"notifier.yaml": yaml, "api.crt": chain, "api.key": key, "own-ca.pem": string(s.authority.PEM()), "ca.pem": string(authorities), "apns.p8": string(apnsKey),
		"enrolment.pem": string(s.enrolment.PublicKeyPEM()), "engine.key": base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")),
		"listener.password": r.Listener.Password, "wns.secret": r.Push.WNSSecret,
	} {
		files[filepath.Join("/etc/mailbell", name)] = text
	}
	return files
}

// service is where the devices reach the registration service; it moves with
// every start of the container.
func (s *stage) service() string { return "https://" + mapped(s.ctx, s.notifier, "8443/tcp") }

func (s *stage) phone(mailbox string) {
	GinkgoHelper()
	token, err := s.world.NewIPhone(s.ctx, client.IPhone{})
	Expect(err).NotTo(HaveOccurred())
	s.register(&fakedevice.Device{
		ID: "phone of " + mailbox, Mailbox: mailbox,
		APNs: &fakedevice.APNs{Token: token, Topic: s.world.Ready().Push.Topic, Environment: "production"},
	})
}

func (s *stage) pc(mailbox string) {
	GinkgoHelper()
	channel, err := s.world.NewChannel(s.ctx)
	Expect(err).NotTo(HaveOccurred())
	s.register(&fakedevice.Device{ID: "pc of " + mailbox, Mailbox: mailbox, WNS: &fakedevice.WNS{Channel: channel, App: s.world.Ready().Push.WNSApp}})
}

func (s *stage) register(d *fakedevice.Device) {
	GinkgoHelper()
	d.ID = strings.NewReplacer(" ", "-", "@", "-", ".", "-").Replace(d.ID)
	d.Locale, d.Service, d.Authority, d.Journal = "en", s.service(), s.enrolment, s.device
	d.Client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.authority.Pool(), ServerName: "extender"}, DisableKeepAlives: true}, Timeout: 10 * time.Second}
	Expect(d.Register(s.ctx)).To(Succeed())
	s.devices = append(s.devices, d)
}

// mail sends so many mails, in turn to everybody.
func (s *stage) mail(subject string, n int) {
	GinkgoHelper()
	for i := range n {
		_, err := s.world.Mail(s.ctx, client.Mail{To: []string{s.devices[i%len(s.devices)].Mailbox}, From: "Ada <ada@fabrikam.test>", Subject: fmt.Sprintf("%s %03d", subject, i)})
		Expect(err).NotTo(HaveOccurred())
	}
}

// report is the oracle's: it reads what the servers and the devices wrote down, in
// the order of their times, which come from one clock.
func (s *stage) report() oracle.Report {
	GinkgoHelper()
	list := s.device.After(0)
	for q := (client.Query{Limit: 1000}); ; {
		page, err := s.world.Journal(s.ctx, q)
		Expect(err).NotTo(HaveOccurred())
		Expect(page.Gap).To(BeNil())
		if len(page.Entries) == 0 {
			break
		}
		text, err := json.Marshal(page.Entries)
		Expect(err).NotTo(HaveOccurred())
		var entries []journal.Entry
		Expect(json.Unmarshal(text, &entries)).To(Succeed())
		list = append(list, entries...)
		q.After = page.Next
	}
	slices.SortStableFunc(list, func(a, b journal.Entry) int { return a.Time.Compare(b.Time) })
	for i := range list {
		list[i].Seq = uint64(i + 1)
	}
	return oracle.Judge(list)
}

// mustNotDeliver sees to it that for a time something is missing still: the
// misfortune is one.
func (s *stage) mustNotDeliver(n int, during time.Duration) {
	GinkgoHelper()
	Consistently(func() int { return s.report().Delivered }).WithContext(s.ctx).WithTimeout(during).WithPolling(during / 10).Should(BeNumerically("<", n))
}

// mustDeliver waits until so many pushes were delivered in all, and nothing is
// wrong.
func (s *stage) mustDeliver(n int) {
	GinkgoHelper()
	var r oracle.Report
	Eventually(func() int { r = s.report(); return r.Delivered }).WithContext(s.ctx).WithTimeout(3*time.Minute).WithPolling(200*time.Millisecond).
		Should(Equal(n), func() string { return r.String() + "\n" + logOf(s.ctx, s.notifier) })
	Expect(r.Findings).To(BeEmpty(), r.String)
}

// kill ends a container as kill -9 does.
func (s *stage) kill(c testcontainers.Container) {
	GinkgoHelper()
	_, err := s.docker.ContainerKill(s.ctx, c.GetContainerID(), dockerclient.ContainerKillOptions{Signal: "KILL"})
	Expect(err).NotTo(HaveOccurred())
}

func (s *stage) restart(c testcontainers.Container) {
	GinkgoHelper()
	Expect(c.Start(s.ctx)).To(Succeed())
}

// unplug takes the extender's network away.
func (s *stage) unplug() {
	GinkgoHelper()
	_, err := s.docker.NetworkDisconnect(s.ctx, s.network.ID, dockerclient.NetworkDisconnectOptions{Container: s.notifier.GetContainerID(), Force: true})
	Expect(err).NotTo(HaveOccurred())
}

// plug gives it back.
func (s *stage) plug() {
	GinkgoHelper()
	_, err := s.docker.NetworkConnect(s.ctx, s.network.ID, dockerclient.NetworkConnectOptions{
		Container: s.notifier.GetContainerID(), EndpointConfig: &network.EndpointSettings{Aliases: []string{"extender"}},
	})
	Expect(err).NotTo(HaveOccurred())
}

func logOf(ctx context.Context, c testcontainers.Container) string {
	r, err := c.Logs(ctx)
	if err != nil {
		return err.Error()
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

var _ = Describe("the notifier in a container of 2 CPUs and 4 GiB", func() {
	It("loses nothing when it is killed, when its network is taken away, and when its engine is", func(ctx SpecContext) {
		s := newStage(ctx)
		for i, mailbox := range s.world.Ready().Mailboxes {
			if s.phone(mailbox); i%2 == 0 {
				s.pc(mailbox)
			}
		}
		each := len(s.devices)
		expected := 0
		// Every mailbox with two devices is in the list twice, and has two pushes a mail.
		mail := func(subject string) {
			GinkgoHelper()
			s.mail(subject, each)
			for _, d := range s.devices {
				for _, e := range s.devices {
					if d.Mailbox == e.Mailbox {
						expected++
					}
				}
			}
		}

		mail("at first")
		s.mustDeliver(expected)
		for _, m := range []struct {
			what   string
			strike func()
			mend   func()
		}{
			{"kill -9 of the notifier", func() { s.kill(s.notifier) }, func() { s.restart(s.notifier) }},
			{"its network taken away", s.unplug, func() { s.mustNotDeliver(expected, 15*time.Second); s.plug() }},
			{"kill -9 of the engine", func() { s.kill(s.engine) }, func() { s.restart(s.engine) }},
		} {
			By(m.what)
			mail("before " + m.what)
			m.strike()
			mail("during " + m.what)
			m.mend()
			mail("after " + m.what)
			s.mustDeliver(expected)
		}

		state, err := s.notifier.State(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(state.OOMKilled).To(BeFalse())
		AddReportEntry("oracle", s.report().String())
		AddReportEntry("log of the notifier", logOf(ctx, s.notifier), ReportEntryVisibilityFailureOrVerbose)
	}, SpecTimeout(6*time.Minute))
})
