package process

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"mailbell/fakes"
	"mailbell/fakes/control"
	"mailbell/fakes/exchange"
	"mailbell/fakes/fakedevice"
	"mailbell/fakes/testcert"
	"mailbell/scenarios/oracle"
)

// setting is a world outside of the process, and the process's own directory.
type setting struct {
	*fakes.World
	dir       string
	api       string // address of the registration service
	admin     string // of the admin service
	enrolment *fakedevice.Authority
	devices   []*fakedevice.Device
	process   *exec.Cmd
	exited    chan struct{}
}

func newSetting() *setting {
	GinkgoHelper()
	s := &setting{dir: GinkgoT().TempDir()}
	var err error
	s.World, err = fakes.Start(fakes.Options{Named: []string{"taro", "hanako"}})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(s.World.Close)
	s.enrolment, err = fakedevice.NewAuthority()
	Expect(err).NotTo(HaveOccurred())
	s.api, s.admin = freeAddress(), freeAddress()
	s.writeConfig()
	return s
}

// freeAddress is a loopback address that was free a moment ago.
func freeAddress() string {
	GinkgoHelper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	defer l.Close()
	return l.Addr().String()
}

func (s *setting) file(name, content string) {
	GinkgoHelper()
	Expect(os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o600)).To(Succeed())
}

// writeConfig writes what an operator would.
func (s *setting) writeConfig() {
	GinkgoHelper()
	cert, err := s.Authority.Server("127.0.0.1")
	Expect(err).NotTo(HaveOccurred())
	chain, key, err := testcert.KeyPairPEM(cert)
	Expect(err).NotTo(HaveOccurred())
	s.file("api.crt", string(chain))
	s.file("api.key", string(key))
	s.file("ca.pem", string(s.Authority.PEM()))
	s.file("apns.p8", string(s.ProviderKeyPEM()))
	s.file("enrolment.pem", string(s.enrolment.PublicKeyPEM()))
	s.file("engine.key", base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")))
	s.file("listener.password", s.ListenerPassword())
	s.file("wns.secret", s.WNSSecret())
	var hosts strings.Builder
	for from, to := range s.Ready("").Hosts {
		fmt.Fprintf(&hosts, "    '%s': '%s'\n", from, to)
	}
	s.file("notifier.yaml", fmt.Sprintf(`
engine: {dir: data, encryption_key_file: engine.key}
exchange:
  digest_over: 10000 # every mail is counted here
  accounts:
    - {name: listener, user: '%s', password_file: listener.password}
push:
  apns:
    - {environment: production, key_file: apns.p8, key_id: %s, team_id: %s}
  wns:
    - {name: %s, kind: partner-center, package_sid: '%s', secret_file: wns.secret}
policy:
  - mailboxes: ['*']
api: {listen: '%s', certificate_file: api.crt, key_file: api.key, authority_keys: [enrolment.pem]}
admin: {listen: '%s'}
network:
  ca_file: ca.pem
  hosts:
%slog: {format: text, level: info}
`, s.ListenerUser(), fakes.KeyID, fakes.TeamID, fakes.WNSApp, fakes.PackageSID, s.api, s.admin, hosts.String()))
}

// start runs the program and waits until it serves.
func (s *setting) start() {
	GinkgoHelper()
	cmd := exec.Command(program, "run", "--config", filepath.Join(s.dir, "notifier.yaml"))
	cmd.Stdout, cmd.Stderr = GinkgoWriter, GinkgoWriter
	Expect(cmd.Start()).To(Succeed())
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait() // killed: an error by design
	}()
	s.process, s.exited = cmd, exited
	DeferCleanup(func() {
		_ = cmd.Process.Kill() // gone already, perhaps
		<-exited
	})
	Eventually(func() error {
		resp, err := s.client().Get("https://" + s.api + "/healthz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("healthz says %s", resp.Status)
		}
		return nil
	}).WithTimeout(30 * time.Second).WithPolling(20 * time.Millisecond).Should(Succeed())
}

// kill ends the process as kill -9 does.
func (s *setting) kill() {
	GinkgoHelper()
	Expect(s.process.Process.Kill()).To(Succeed())
	<-s.exited
}

func (s *setting) client() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.Authority.Pool()}, DisableKeepAlives: true}, Timeout: 10 * time.Second}
}

func (s *setting) register(id, mailbox string, apns *fakedevice.APNs, wns *fakedevice.WNS) {
	GinkgoHelper()
	d := &fakedevice.Device{
		ID: id, Mailbox: mailbox + "@" + s.Domain(), Locale: "en", APNs: apns, WNS: wns,
		Service: "https://" + s.api, Client: s.client(), Authority: s.enrolment, Journal: s.Journal,
	}
	Expect(d.Register(context.Background())).To(Succeed())
	s.devices = append(s.devices, d)
}

func (s *setting) mail(to, subject string) {
	GinkgoHelper()
	from, raw, err := control.Letter{To: []string{to}, From: "Ada <ada@fabrikam.test>", Subject: subject, Body: "x"}.Message()
	Expect(err).NotTo(HaveOccurred())
	_, err = s.Organisation.Deliver(exchange.Envelope{From: from, To: []string{to + "@" + s.Domain()}, Raw: raw})
	Expect(err).NotTo(HaveOccurred())
}

// awaitPushes waits until so many pushes were accepted in all.
func (s *setting) awaitPushes(n int) {
	GinkgoHelper()
	Eventually(func() int {
		got := 0
		for _, e := range s.Journal.After(0) {
			if e.Kind == "push" && e.Status == http.StatusOK && e.Detail["type"] != "wns/badge" {
				got++
			}
		}
		return got
	}).WithTimeout(60 * time.Second).WithPolling(5 * time.Millisecond).Should(BeNumerically(">=", n))
}

func (s *setting) report() oracle.Report { return oracle.Judge(s.Journal.After(0)) }

var _ = Describe("The notifier, killed with kill -9 while two hundred mails arrive", func() {
	for _, killAfter := range []int{1, 60, 150} {
		It(fmt.Sprintf("loses none when it dies after %d pushes", killAfter), func() {
			s := newSetting()
			s.start()
			token := strings.Repeat("ab", 32)
			s.APNs.AddDevice(token, fakes.Topic)
			s.register("phone-1", "taro", &fakedevice.APNs{Token: token, Topic: fakes.Topic, Environment: "production"}, nil)
			s.register("pc-1", "hanako", nil, &fakedevice.WNS{Channel: s.WNS.NewChannel(fakes.WNSApp), App: fakes.WNSApp})

			done := make(chan struct{})
			go func() {
				defer GinkgoRecover()
				defer close(done)
				for i := range 200 {
					s.mail([]string{"taro", "hanako"}[i%2], fmt.Sprintf("#%03d", i))
				}
			}()
			s.awaitPushes(killAfter)
			s.kill()
			<-done
			s.start()
			s.awaitPushes(200)
			Eventually(func() int { return s.report().Count("lost") }).WithTimeout(60 * time.Second).Should(BeZero())
			r := s.report()
			AddReportEntry("oracle", r.String())
			Expect(r.Findings).To(BeEmpty(), r.String)
			Expect(r.Delivered).To(Equal(200))
		})
	}
})

var _ = Describe("The notifier, killed with kill -9 ten times while it catches up", func() {
	It("loses none, at whatever moments", func() {
		seed := GinkgoRandomSeed()
		draw := rand.New(rand.NewPCG(uint64(seed), 10))
		AddReportEntry("seed", fmt.Sprintf("repeat with: go test ./scenarios/process -ginkgo.seed %d", seed))
		s := newSetting()
		s.start()
		token := strings.Repeat("ab", 32)
		s.APNs.AddDevice(token, fakes.Topic)
		s.register("phone-1", "taro", &fakedevice.APNs{Token: token, Topic: fakes.Topic, Environment: "production"}, nil)
		s.register("pc-1", "hanako", nil, &fakedevice.WNS{Channel: s.WNS.NewChannel(fakes.WNSApp), App: fakes.WNSApp})
		s.kill()
		const rounds, each = 10, 40
		for round := range rounds {
			for i := range each {
				s.mail([]string{"taro", "hanako"}[i%2], fmt.Sprintf("#%d-%02d", round, i))
			}
			begin := s.Journal.Last()
			s.start()
			// So many exchanges with the servers after the start is the moment.
			moment := draw.IntN(3 * each)
			Eventually(func() int { return len(s.Journal.After(begin)) }).WithTimeout(10 * time.Second).WithPolling(time.Millisecond).Should(BeNumerically(">=", min(moment, each/2)))
			s.kill()
		}
		s.start()
		Eventually(func() int { return s.report().Count("lost") }).WithTimeout(60 * time.Second).Should(BeZero())
		r := s.report()
		AddReportEntry("oracle", r.String())
		Expect(r.Findings).To(BeEmpty(), r.String)
		Expect(r.Delivered).To(Equal(rounds * each))
		// A subscription is forgotten only when the process dies in the moment
		// between Exchange's answer and the disk.
		Expect(s.Organisation.State().Subscriptions).To(BeNumerically("<=", 2+rounds/2), "subscriptions of before are used again")
	})
})

var _ = Describe("The notifier as a process", func() {
	It("explains to its operator how a mailbox is doing, and tells nobody from outside", func() {
		s := newSetting()
		config := filepath.Join(s.dir, "notifier.yaml")
		explain := func(mailbox string) string {
			out, _ := exec.Command(program, "explain", mailbox, "--config", config).CombinedOutput() // what it says is looked at
			return string(out)
		}
		Expect(explain("taro@contoso.test")).To(ContainSubstring("is it running?"))
		s.start()
		token := strings.Repeat("ab", 32)
		s.APNs.AddDevice(token, fakes.Topic)
		Expect(explain("taro@contoso.test")).To(ContainSubstring("no device is registered"))
		s.register("phone-1", "taro", &fakedevice.APNs{Token: token, Topic: fakes.Topic, Environment: "production"}, nil)
		Eventually(func() string { return explain("Taro@contoso.test") }).WithTimeout(30 * time.Second).Should(ContainSubstring("all is well"))
		s.mail("taro", "secret of the board")
		s.awaitPushes(1)
		Eventually(func() string { return explain("taro@contoso.test") }).WithTimeout(10 * time.Second).Should(And(
			ContainSubstring("phone-1: delivered (accepted)"), ContainSubstring("last heartbeat"), ContainSubstring("subscribing → catching-up: Exchange gave a subscription"),
			Not(ContainSubstring("board")), Not(ContainSubstring(token)), Not(ContainSubstring("fabrikam"))))

		out, err := exec.Command(program, "status", "--config", config).CombinedOutput()
		Expect(err).NotTo(HaveOccurred())
		Expect(string(out)).To(And(ContainSubstring(`"streaming": 1`), ContainSubstring(`"name": "listener"`)))

		req, err := http.NewRequest(http.MethodGet, "http://"+s.admin+"/v1/status", nil)
		Expect(err).NotTo(HaveOccurred())
		req.Host = "evil.test" // as a page in a browser would that has this address under its name
		resp, err := s.client().Do(req)
		Expect(err).NotTo(HaveOccurred())
		Expect(resp.Body.Close()).To(Succeed())
		Expect(resp.StatusCode).To(Equal(http.StatusForbidden))

		mailboxes := s.Organisation.Mailboxes()
		Expect(s.Organisation.RemoveMailbox(mailboxes[len(mailboxes)-1])).To(Succeed()) // taro
		Eventually(func() string { return explain("taro@contoso.test") }).WithTimeout(30 * time.Second).Should(And(
			ContainSubstring("state            waiting"), ContainSubstring("tried again at"), ContainSubstring("last error")))
	})

	It("names an occupied port and a locked store, and the first one goes on", func() {
		s := newSetting()
		s.start()
		out, err := exec.Command(program, "run", "--config", filepath.Join(s.dir, "notifier.yaml")).CombinedOutput()
		Expect(err).To(HaveOccurred())
		Expect(string(out)).To(ContainSubstring(filepath.Join(s.dir, "data")))

		// A second instance with a store of its own meets the occupied port.
		text, err := os.ReadFile(filepath.Join(s.dir, "notifier.yaml"))
		Expect(err).NotTo(HaveOccurred())
		s.file("second.yaml", strings.NewReplacer("dir: data", "dir: data2", s.admin, freeAddress()).Replace(string(text)))
		out, err = exec.Command(program, "run", "--config", filepath.Join(s.dir, "second.yaml")).CombinedOutput()
		Expect(err).To(HaveOccurred())
		Expect(string(out)).To(ContainSubstring(s.api))

		resp, err := s.client().Get("https://" + s.api + "/healthz")
		Expect(err).NotTo(HaveOccurred())
		Expect(resp.Body.Close()).To(Succeed())
		Expect(resp.StatusCode).To(Equal(http.StatusOK))
	})
})
