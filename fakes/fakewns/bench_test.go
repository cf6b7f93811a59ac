package fakewns_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"mailbell/fakes/against"
	"mailbell/fakes/fakewns"
)

// BenchmarkPushes counts pushes a second over loopback and TLS, client
// included.
func BenchmarkPushes(b *testing.B) {
	s := overTCP(b, fakewns.Options{}).login()
	uris := make([]string, 64)
	for i := range uris {
		uris[i] = s.NewChannel("mail")
	}
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			resp, err := s.client.Do(s.request(http.MethodPost, uris[i%len(uris)], toast))
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				b.Errorf("status %d", resp.StatusCode)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pushes/s")
}

// BenchmarkPushesAgainstBare compares with a handler that reads the toast and
// says 200.
func BenchmarkPushesAgainstBare(b *testing.B) {
	s := overTCP(b, fakewns.Options{}).login()
	channel := s.NewChannel("mail")
	bare := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a toast is short
		w.WriteHeader(http.StatusOK)
	}))
	defer bare.Close()
	const clients = 8
	bare.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = clients
	pushing := func(client *http.Client, request func() *http.Request) func(n int) {
		return func(n int) {
			var wg sync.WaitGroup
			for c := range clients {
				wg.Go(func() {
					for i := c; i < n; i += clients {
						resp, err := client.Do(request())
						if err != nil || resp.StatusCode != http.StatusOK {
							b.Error(resp, err)
							return
						}
						_, _ = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
					}
				})
			}
			wg.Wait()
		}
	}
	against.Bare(b, "pushes/s", pushing(s.client, func() *http.Request { return s.request(http.MethodPost, channel, toast) }),
		pushing(bare.Client(), func() *http.Request {
			r, err := http.NewRequest(http.MethodPost, bare.URL, strings.NewReader(toast))
			if err != nil {
				b.Fatal(err)
			}
			return r
		}))
}
