package app

import (
	"context"
	"errors"
	"fmt"

	"mailbell/notifier"
	"mailbell/notifier/apns"
	"mailbell/notifier/deliver"
	"mailbell/notifier/httpauth"
	"mailbell/notifier/registry"
	"mailbell/notifier/wns"
)

// Hosts of APNs (Apple "Sending notification requests to APNs").
var apnsHosts = map[notifier.Environment]string{
	notifier.Production:  "https://api.push.apple.com",
	notifier.Development: "https://api.sandbox.push.apple.com",
}

// startDelivery opens the ways to the providers and starts to deliver.
func (in *instance) startDelivery() error {
	senders := map[notifier.Provider]deliver.Sender{}
	if len(in.opt.APNs) > 0 {
		clients := map[notifier.Environment]*apns.Client{}
		for _, o := range in.opt.APNs {
			host := o.Host
			if host == "" {
				host = apnsHosts[o.Environment]
			}
			c, err := apns.New(apns.Options{
				Host: host, Key: o.Key, Certificate: o.Certificate, Lanes: o.Lanes,
				Dial: in.opt.Network.dialer(), RootCAs: in.opt.Network.RootCAs, Logger: in.opt.Logger,
			})
			if err != nil {
				return fmt.Errorf("app: APNs %s: %w", o.Environment, err)
			}
			in.life.push("APNs "+string(o.Environment), c.Close)
			clients[o.Environment] = c
		}
		senders[notifier.APNs] = deliver.NewAPNsSender(clients)
	}
	if len(in.opt.WNS) > 0 {
		clients := map[string]*wns.Client{}
		for _, o := range in.opt.WNS {
			c, err := wns.New(wns.Options{App: o, Dial: in.opt.Network.strangerDialer(), RootCAs: in.opt.Network.RootCAs, Logger: in.opt.Logger})
			if err != nil {
				return fmt.Errorf("app: WNS %s: %w", o.Name, err)
			}
			in.life.push("WNS "+o.Name, c.Close)
			clients[o.Name] = c
		}
		senders[notifier.WNS] = deliver.NewWNSSender(clients)
	}
	d, err := deliver.New(deliver.Options{
		Queue: in.stores.Queue, Senders: senders, Lookup: in.view.Device, Forget: in.forget, Ledger: in.stores.Ledger,
		Retry: in.opt.Delivery, Drain: in.opt.Drain, Logger: in.opt.Logger,
	})
	if err != nil {
		return err
	}
	in.send = d
	in.life.run("delivery", d.Run)
	return nil
}

// forget removes the registration of a device that its provider does not know
// any more, unless it was renewed meanwhile.
func (in *instance) forget(ctx context.Context, id notifier.DeviceID, revision uint64) error {
	err := in.stores.Registry.Delete(ctx, id, revision)
	if errors.Is(err, registry.ErrNotFound) || errors.Is(err, registry.ErrChanged) {
		return nil
	}
	return err
}

func isRejected(err error) bool {
	_, ok := errors.AsType[*httpauth.RejectedError](err)
	return ok
}
