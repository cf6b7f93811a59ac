package loadgen

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// control is a client of the control API of the fakes.
type control struct{ *caller }

func newControl(base string) *control { return &control{newCaller(base, &http.Transport{})} }

// mailboxes are the addresses that exist.
func (c *control) mailboxes(ctx context.Context) ([]string, error) {
	var out struct{ Mailboxes []string }
	err := c.do(ctx, http.MethodGet, "/mailboxes", "", nil, &out)
	return out.Mailboxes, err
}

// address makes a push address for a device.
func (c *control) address(ctx context.Context, p Platform, push readyPush) (string, error) {
	var out struct{ Token, Channel string }
	if p == Windows {
		err := c.do(ctx, http.MethodPost, "/devices/wns", "", map[string]string{"app": push.WNSApp}, &out)
		return out.Channel, err
	}
	err := c.do(ctx, http.MethodPost, "/devices/apns", "", map[string]string{"topic": push.Topic}, &out)
	return out.Token, err
}

// organisation is what the Exchange fake says of itself.
type organisation struct {
	Streaming int
	Servers   []struct{ Name string }
}

func (c *control) organisation(ctx context.Context) (organisation, error) {
	var out struct{ Organisation organisation }
	err := c.do(ctx, http.MethodGet, "/state", "", nil, &out)
	return out.Organisation, err
}

func (c *control) cutStreams(ctx context.Context) error {
	return c.do(ctx, http.MethodPost, "/streams/cut", "", struct{}{}, nil)
}

func (c *control) restartServers(ctx context.Context) error {
	o, err := c.organisation(ctx)
	if err != nil {
		return err
	}
	for _, s := range o.Servers {
		if err := c.do(ctx, http.MethodPost, "/servers/"+url.PathEscape(s.Name)+"/restart", "", struct{}{}, nil); err != nil {
			return err
		}
	}
	return nil
}

// fault puts a fault in force until the fakes end.
func (c *control) fault(ctx context.Context, name string, args map[string]string) error {
	return c.do(ctx, http.MethodPost, "/faults", "", map[string]any{"name": name, "args": args}, nil)
}

// page reads the journal above a sequence number: some entries, and the newest
// number there is.
func (c *control) page(ctx context.Context, after uint64, limit int) (entries []entry, last uint64, err error) {
	var out struct {
		Entries []entry
		Last    uint64
	}
	err = c.do(ctx, http.MethodGet, fmt.Sprintf("/journal?after=%d&limit=%d", after, limit), "", nil, &out)
	return out.Entries, out.Last, err
}
