package app

import (
	"context"
	"fmt"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/deliver"
	"mailbell/notifier/watch"
)

// explainReceipts is how many receipts an explanation shows.
const explainReceipts = 20

// Explanation is everything an instance knows of how a mailbox is doing. It
// holds no content of mails and no push address.
type Explanation struct {
	Mailbox  notifier.Mailbox     `json:"mailbox"`
	Approved bool                 `json:"approved"`          // by policy
	Devices  []ExplainedDevice    `json:"devices"`           // registered for it
	Watch    *watch.MailboxStatus `json:"watch,omitempty"`   // nil: not watched here
	Receipts []notifier.Receipt   `json:"receipts"`          // newest first
	Trouble  string               `json:"trouble,omitempty"` // why the receipts could not be read
}

// ExplainedDevice is a registered device.
type ExplainedDevice struct {
	ID        notifier.DeviceID `json:"id"`
	Provider  notifier.Provider `json:"provider"`
	Created   time.Time         `json:"created"`
	Confirmed time.Time         `json:"confirmed"` // the app registered it again
}

// Status is how an instance is doing.
type Status struct {
	Roles     []Role                                  `json:"roles"`
	Started   time.Time                               `json:"started"`
	Devices   int                                     `json:"devices"`
	Mailboxes int                                     `json:"mailboxes"`
	Watch     *watch.Stats                            `json:"watch,omitempty"`
	Accounts  []watch.AccountStatus                   `json:"accounts,omitempty"`
	Delivery  map[notifier.Provider]deliver.LaneStats `json:"delivery,omitempty"`
}

// Explain tells how a mailbox is doing. The error says that the instance does
// not run.
func (a *App) Explain(ctx context.Context, m notifier.Mailbox) (Explanation, error) {
	in := a.current()
	if in == nil {
		return Explanation{}, fmt.Errorf("app: the instance is stopped")
	}
	return in.explain(ctx, m), nil
}

func (in *instance) explain(ctx context.Context, m notifier.Mailbox) Explanation {
	e := Explanation{Mailbox: m, Approved: in.opt.Policy.Approved(m), Devices: []ExplainedDevice{}, Receipts: []notifier.Receipt{}}
	for _, d := range in.view.Mailbox(m) {
		e.Devices = append(e.Devices, ExplainedDevice{d.Device, d.Provider, d.Created, d.Confirmed})
	}
	if in.watch != nil {
		if s, ok := in.watch.Explain(m); ok {
			e.Watch = &s
		}
	}
	list, err := in.stores.Ledger.Mailbox(ctx, m, explainReceipts)
	if err != nil {
		e.Trouble = err.Error()
	}
	e.Receipts = append(e.Receipts, list...)
	return e
}

// status tells how the instance is doing.
func (in *instance) status() Status {
	s := Status{Roles: in.opt.Roles, Started: in.started}
	if len(s.Roles) == 0 {
		s.Roles = []Role{Portal, Extender, Proxy}
	}
	s.Devices, s.Mailboxes = in.view.Len()
	if in.watch != nil {
		stats := in.watch.Stats()
		s.Watch, s.Accounts = &stats, in.watch.Accounts()
	}
	if in.send != nil {
		s.Delivery = in.send.Stats().Lanes
	}
	return s
}
