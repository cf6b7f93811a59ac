package httpauth

import (
	"context"
	"io"
	"net/http"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/cache"
)

// authorityClient is how MSAL reaches the authority: answers are bounded, and a
// redirect is an answer like any other, because following one would carry the
// client's secret to whoever sent it.
type authorityClient struct {
	client  http.Client
	release func()
}

func newAuthorityClient(given *http.Client) *authorityClient {
	c := &authorityClient{release: func() {}}
	if given != nil {
		c.client = *given
	} else {
		t := &http.Transport{
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    handshakeTimeout,
			ResponseHeaderTimeout:  tokenTimeoutDefault,
			IdleConnTimeout:        IdleTimeoutDefault,
			MaxResponseHeaderBytes: responseHeaderMax,
		}
		c.client.Transport = t
		c.release = t.CloseIdleConnections
	}
	c.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.client.Jar = nil
	return c
}

// Do sends a request to the authority.
func (c *authorityClient) Do(req *http.Request) (*http.Response, error) {
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, tokenAnswerMax), resp.Body}
	return resp, nil
}

// CloseIdleConnections does nothing: the connections may be shared.
func (c *authorityClient) CloseIdleConnections() {}

// noCache keeps MSAL from answering out of its own cache, whose idea of renewal
// is not ours.
type noCache struct{}

func (noCache) Replace(_ context.Context, u cache.Unmarshaler, _ cache.ReplaceHints) error {
	return u.Unmarshal([]byte("{}"))
}

func (noCache) Export(context.Context, cache.Marshaler, cache.ExportHints) error { return nil }
