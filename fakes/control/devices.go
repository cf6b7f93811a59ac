package control

import (
	"fmt"
	"net/http"
)

// deviceRequest is the body of every device call; each reads its own field.
type deviceRequest struct {
	Topic   string `json:"topic"`
	App     string `json:"app"`
	Address string `json:"address"`
	Online  bool   `json:"online"`
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
	token, err := a.opt.Devices.NewAPNs(in.Topic)
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
	in, err := a.device(r)
	if err != nil {
		return nil, err
	}
	return map[string]bool{"retired": true}, a.opt.Devices.Retire(in.Address)
}

func (a *API) online(_ http.ResponseWriter, r *http.Request) (any, error) {
	in, err := a.device(r)
	if err != nil {
		return nil, err
	}
	return map[string]bool{"online": in.Online}, a.opt.Devices.SetOnline(in.Address, in.Online)
}

func (a *API) shown(_ http.ResponseWriter, r *http.Request) (any, error) {
	in, err := a.device(r)
	if err != nil {
		return nil, err
	}
	v, ok := a.opt.Devices.Shown(in.Address)
	if !ok {
		return nil, fmt.Errorf("address: %w", errNotFound)
	}
	return v, nil
}
