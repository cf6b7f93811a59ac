package fakewns_test

import (
	"io"
	"net/http"
	"testing"

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
