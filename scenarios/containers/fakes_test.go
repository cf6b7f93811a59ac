package containers

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/go-ntlmssp"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/sideshow/apns2/token"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"

	"mailbell/fakes/client"
)

// start runs the image and connects to its control API from outside.
func start(ctx context.Context, args ...string) (*client.World, testcontainers.Container) {
	GinkgoHelper()
	c, err := testcontainers.Run(ctx, images["fakes"],
		testcontainers.WithCmd(args...),
		testcontainers.WithExposedPorts("8600/tcp", "8601/tcp", "8604/tcp", "8609/tcp"),
		testcontainers.WithWaitStrategyAndDeadline(time.Minute, wait.ForHTTP("/ready").WithPort("8600/tcp")),
	)
	testcontainers.CleanupContainer(GinkgoTB(), c)
	Expect(err).NotTo(HaveOccurred())
	w, err := client.Dial(ctx, "http://"+mapped(ctx, c, "8600/tcp"))
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(w.Close)
	return w, c
}

// mapped is where a port of the container is on this machine.
func mapped(ctx context.Context, c testcontainers.Container, port string) string {
	GinkgoHelper()
	address, err := c.PortEndpoint(ctx, port, "")
	Expect(err).NotTo(HaveOccurred())
	return address
}

// via is a transport that reaches every host at one mapped port.
func via(w *client.World, address string, http2 bool) *http.Transport {
	t := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, address)
		},
		TLSClientConfig: &tls.Config{RootCAs: w.RootCAs(), MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: http2,
	}
	DeferCleanup(t.CloseIdleConnections)
	return t
}

const findItem = `<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages" xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><s:Header><t:RequestServerVersion Version="Exchange2013_SP1"/><t:ExchangeImpersonation><t:ConnectingSID><t:SmtpAddress>%s</t:SmtpAddress></t:ConnectingSID></t:ExchangeImpersonation></s:Header><s:Body><m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>Default</t:BaseShape></m:ItemShape><m:IndexedPageItemView MaxEntriesReturned="10" Offset="0" BasePoint="Beginning"/><m:ParentFolderIds><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderIds></m:FindItem></s:Body></s:Envelope>`

var _ = Describe("the image of the fakes", func() {
	It("takes a mail, shows it over EWS and accepts a push, all from outside", func(ctx SpecContext) {
		w, c := start(ctx, "--profile", "calm", "--mailboxes", "2")
		ready := w.Ready()
		Expect(ready.EWS).To(Equal("https://localhost:8601/EWS/Exchange.asmx"))
		Expect(ready.Hosts).To(HaveKeyWithValue("api.push.apple.com:443", "localhost:8604"))

		By("mail")
		mailbox := ready.Mailboxes[0]
		_, err := w.Mail(ctx, client.Mail{To: []string{mailbox}, From: "Ada <ada@fabrikam.test>", Subject: "from outside"})
		Expect(err).NotTo(HaveOccurred())

		By("EWS with NTLM")
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, ready.EWS, strings.NewReader(fmt.Sprintf(findItem, mailbox)))
		Expect(err).NotTo(HaveOccurred())
		r.Header.Set("Content-Type", "text/xml; charset=utf-8")
		r.SetBasicAuth(ready.Listener.User, ready.Listener.Password)
		ews := &http.Client{Transport: ntlmssp.Negotiator{RoundTripper: via(w, mapped(ctx, c, "8601/tcp"), false)}}
		resp, err := ews.Do(r)
		Expect(err).NotTo(HaveOccurred())
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		Expect(err).NotTo(HaveOccurred())
		Expect(resp.StatusCode).To(Equal(http.StatusOK))
		Expect(string(text)).To(ContainSubstring("<t:Subject>from outside</t:Subject>"))

		By("a push over HTTP/2")
		device, err := w.NewIPhone(ctx, client.IPhone{})
		Expect(err).NotTo(HaveOccurred())
		pem, err := w.ProviderKey(ctx)
		Expect(err).NotTo(HaveOccurred())
		key, err := token.AuthKeyFromBytes(pem)
		Expect(err).NotTo(HaveOccurred())
		bearer := &token.Token{AuthKey: key, KeyID: ready.Push.KeyID, TeamID: ready.Push.TeamID}
		p, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://api.push.apple.com/3/device/"+device, strings.NewReader(`{"aps":{"alert":"from outside"}}`))
		Expect(err).NotTo(HaveOccurred())
		p.Header.Set("authorization", "bearer "+bearer.GenerateIfExpired())
		p.Header.Set("apns-topic", ready.Push.Topic)
		p.Header.Set("apns-push-type", "alert")
		answer, err := (&http.Client{Transport: via(w, mapped(ctx, c, "8604/tcp"), true)}).Do(p)
		Expect(err).NotTo(HaveOccurred())
		defer answer.Body.Close()
		Expect(answer.StatusCode).To(Equal(http.StatusOK))
		Expect(answer.ProtoMajor).To(Equal(2))
		push, err := w.AwaitPush(ctx, device, "from outside")
		Expect(err).NotTo(HaveOccurred())
		Expect(push.Server).To(Equal("apns"))
	}, SpecTimeout(2*time.Minute))

	It("ends in order when it is told to", func(ctx SpecContext) {
		_, c := start(ctx)
		patience := 20 * time.Second
		Expect(c.Stop(ctx, &patience)).To(Succeed())
		state, err := c.State(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(state.ExitCode).To(Equal(0))
	}, SpecTimeout(2*time.Minute))
})
