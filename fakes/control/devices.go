package control

import (
	"fmt"
	"maps"
	"net/http"
	"time"

	"mailbell/fakes/journal"
)

// deviceRequest is the body of every device call; each reads its own field.
type deviceRequest struct {
	Topic       string    `json:"topic"`
	Token       string    `json:"token"`
	Environment string    `json:"environment"`
	App         string    `json:"app"`
	Address     string    `json:"address"`
	Online      bool      `json:"online"`
	Reason      string    `json:"reason"`
	At          time.Time `json:"at"`
}

func (a *API) device(r *http.Request) (deviceRequest, error) {
	var in deviceRequest
	if a.opt.Devices == nil {
		return in, fmt.Errorf("devices: %w", errNotFound)
	}
	return in, decode(r, &in)
}

func (a *API) newAPNs(_ http.ResponseWriter, r *http.Request) (any, error) {
	in, err := a.device(r)
	if err != nil {
		return nil, err
	}
	token, err := a.opt.Devices.NewAPNs(in.Token, in.Topic, in.Environment)
	return map[string]string{"token": token}, err
}

func (a *API) newWNS(_ http.ResponseWriter, r *http.Request) (any, error) {
	in, err := a.device(r)
	if err != nil {
		return nil, err
	}
	channel, err := a.opt.Devices.NewWNS(in.App)
	return map[string]string{"channel": channel}, err
}

func (a *API) retire(_ http.ResponseWriter, r *http.Request) (any, error) {
	in, err := a.addressed(r)
	if err != nil {
		return nil, err
	}
	if in.At.IsZero() {
		in.At = time.Now()
	}
	if err := a.opt.Devices.Retire(in.Address, in.Reason, in.At); err != nil {
		return nil, err
	}
	a.record(r, map[string]string{"address": in.Address, "reason": in.Reason})
	return map[string]bool{"retired": true}, nil
}

func (a *API) online(_ http.ResponseWriter, r *http.Request) (any, error) {
	in, err := a.addressed(r)
	if err != nil {
		return nil, err
	}
	if err := a.opt.Devices.SetOnline(in.Address, in.Online); err != nil {
		return nil, err
	}
	a.record(r, map[string]string{"address": in.Address, "online": fmt.Sprint(in.Online)})
	return map[string]bool{"online": in.Online}, nil
}

func (a *API) shown(_ http.ResponseWriter, r *http.Request) (any, error) {
	in, err := a.addressed(r)
	if err != nil {
		return nil, err
	}
	v, ok := a.opt.Devices.Shown(in.Address)
	if !ok {
		return nil, ErrNoDevice
	}
	return v, nil
}

// addressed is a call about one device.
func (a *API) addressed(r *http.Request) (deviceRequest, error) {
	in, err := a.device(r)
	if err == nil && in.Address == "" {
		err = fmt.Errorf("address: a device token or channel URI is needed")
	}
	return in, err
}

// ErrNoDevice is what a DeviceControl answers about a device nobody knows.
var ErrNoDevice = fmt.Errorf("address: no device has it: %w", errNotFound)

// record writes down what was done to the world by hand, so that whoever reads
// the journal later knows.
func (a *API) record(r *http.Request, detail map[string]string) {
	maps.DeleteFunc(detail, func(_, v string) bool { return v == "" })
	a.opt.Journal.Append(journal.Entry{Server: "control", Kind: "control", Operation: r.URL.Path, Detail: detail, Device: detail["address"]})
}
