package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"mailbell/fakes/exchange"
	"mailbell/fakes/fault"
	"mailbell/fakes/journal"
)

// WaitMax bounds how long GET /journal waits for the next entry.
const WaitMax = 60 * time.Second

// JournalPageMax bounds the entries of one answer.
const JournalPageMax = 10_000

// snapshotMax bounds each list in GET /state.
const snapshotMax = 200

// Options are the parts of the world that the API reaches.
type Options struct {
	Organisation *exchange.Organisation
	Journal      *journal.Journal
	Faults       *fault.Set
	State        func() any    // what GET /state tells besides the organisation; nil: nothing
	Reset        func() error  // beyond faults and journal; nil: nothing
	Devices      DeviceControl // nil: no device calls
	Ready        func() any    // what the fakes wrote when they were ready; nil: nothing
	Push         PushControl   // nil: no push calls
	Authority    func() []byte // PEM; nil: not told
	ProviderKey  func() []byte // PEM; nil: not told
}

// DeviceControl acts on simulated devices.
type DeviceControl interface {
	// NewAPNs makes a device known to the fake APNs and returns its token. Each
	// argument may be empty.
	NewAPNs(token, topic, environment string) (string, error)
	// NewWNS makes a channel and returns its URI.
	NewWNS(app string) (channel string, err error)
	// Retire makes a token or channel dead from now on. A reason may be given,
	// and for a token the moment that answers will name.
	Retire(address, reason string, at time.Time) error
	// SetOnline connects or disconnects the device behind a token or channel.
	SetOnline(address string, online bool) error
	// Shown is what the device behind a token or channel shows.
	Shown(address string) (any, bool)
}

// API serves the control API.
type API struct {
	opt     Options
	mux     *http.ServeMux
	handler http.Handler
}

// New returns the API; it is an http.Handler.
func New(o Options) *API {
	a := &API{opt: o, mux: http.NewServeMux()}
	for _, c := range a.calls() {
		a.mux.HandleFunc(c.Method+" "+c.Path, a.guard(c.do))
	}
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if allowed := a.allowed(r); len(allowed) > 0 {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			refuse(w, http.StatusMethodNotAllowed, fmt.Errorf("%s %s: the method is not allowed; %s is", r.Method, r.URL.Path, strings.Join(allowed, " and ")))
			return
		}
		refuse(w, http.StatusNotFound, fmt.Errorf("%s %s: no such call; GET / lists them", r.Method, r.URL.Path))
	})
	a.mux.Handle("GET /page/", pageFiles())
	// A web site that somebody has open in a browser must not reach the world
	// on the same machine. Scripts send none of the headers that tell of one.
	same := http.NewCrossOriginProtection()
	same.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusForbidden, errors.New("this request came from another web site: see its header Origin"))
	}))
	a.handler = same.Handler(a.mux)
	return a
}

// allowed are the methods that the path of a request knows.
func (a *API) allowed(r *http.Request) []string {
	var out []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := a.mux.Handler(other); pattern != "/" && pattern != "" {
			out = append(out, method)
		}
	}
	return out
}

// ServeHTTP answers a call.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.handler.ServeHTTP(w, r) }

// call is one operation and its documentation.
type call struct {
	Method string            `json:"method"`
	Path   string            `json:"path"`
	Says   string            `json:"does"`
	Takes  map[string]string `json:"takes,omitempty"`
	do     func(w http.ResponseWriter, r *http.Request) (any, error)
}

func (a *API) calls() []call {
	return append([]call{
		{"GET", "/{$}", "describes the calls", nil, a.describe},
		{"POST", "/mail", "delivers a mail to mailboxes", map[string]string{"to": "addresses", "from": "address or Name <address>", "subject": "text", "body": "text", "raw": "a whole RFC 5322 message instead of subject and body"}, a.mail},
		{"GET", "/faults", "lists the faults in force", nil, a.listFaults},
		{"POST", "/faults", "puts a fault in force", map[string]string{"name": "what to do; the fakes document their names", "scope": "{server, mailbox, account, device}: whom it strikes", "probability": "0…1, 1 by default", "count": "strikes, unlimited by default", "for": "life, such as 30s", "args": "parameters"}, a.addFault},
		{"DELETE", "/faults", "ends all faults, or the one named by ?id=", nil, a.endFaults},
		{"GET", "/journal", "what was asked and answered, oldest first, as entries, next (ask for what is after it), last and, if some are gone, gap; with Accept: text/event-stream a stream of events named entry, gap and reset, resumed by Last-Event-ID", journalTakes, a.journal},
		{"POST", "/reset", "makes everything as it was at the start while all servers go on: no mail, subscription, device, fault, move or journal entry is left", nil, a.reset},
		{"GET", "/state", "the organisation with its streams, subscriptions, budgets and moves, the push services' counters, the faults in force", nil, a.state},
		{"GET", "/ready", "the addresses of all servers", nil, a.ready},
		{"GET", "/mailboxes", "the addresses of all mailboxes", nil, a.mailboxes},
		{"POST", "/mailboxes/{address}/move", "moves a mailbox to another server or database", map[string]string{"server": "name", "database": "name, instead of server", "took": "how long it is on its way, such as 10s"}, a.move},
		{"POST", "/mailboxes/{address}/read", "marks an item as read", map[string]string{"item": "id"}, a.markRead},
		{"POST", "/servers/{name}/restart", "restarts an Exchange server: streams and subscriptions are lost", nil, a.restart},
		{"POST", "/streams/cut", "cuts streams without a word", map[string]string{"scope": "server or mailbox; all by default"}, a.cut},
		{"POST", "/subscriptions/lose", "forgets subscriptions", map[string]string{"scope": "server or mailbox; all by default"}, a.lose},
		{"POST", "/devices/apns", "makes an iPhone known to APNs", map[string]string{"topic": "bundle ID; that of GET /ready by default", "token": "hex; drawn by default", "environment": "production by default, or development"}, a.newAPNs},
		{"POST", "/devices/wns", "makes a WNS channel", map[string]string{"app": "name"}, a.newWNS},
		{"POST", "/devices/retire", "makes a token or channel dead", map[string]string{"address": "token or channel URI", "reason": "of a token: Unregistered (default) or ExpiredToken; of a channel: expired (default, 410), revoked (404) or blocked (410)", "at": "the moment a token's 410 names, RFC 3339; now by default"}, a.retire},
		{"POST", "/devices/online", "connects or disconnects a device", map[string]string{"address": "token or channel URI", "online": "true or false"}, a.online},
		{"POST", "/devices/shown", "what a device shows", map[string]string{"address": "token or channel URI"}, a.shown},
		{"POST", "/push/{service}/{verb}", "makes a push service behave as a whole: apns, apns_sandbox or wns; an unknown verb is answered with those there are", pushTakes, a.push},
		{"GET", "/ca.pem", "the authority that all certificates are from", nil, a.authority},
		{"GET", "/apns-key.p8", "the provider key for APNs", nil, a.providerKey},
	}, a.organisationCalls()...)
}

func (a *API) guard(do func(http.ResponseWriter, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, BodyMax)
		v, err := do(w, r)
		var big *http.MaxBytesError
		switch {
		case errors.As(err, &big):
			refuse(w, http.StatusRequestEntityTooLarge, fmt.Errorf("body: at most %d bytes", BodyMax))
		case errors.Is(err, errNotFound), errors.Is(err, exchange.ErrNoMailbox), errors.Is(err, exchange.ErrUnknown):
			refuse(w, http.StatusNotFound, err)
		case err != nil:
			refuse(w, http.StatusBadRequest, err)
		default:
			switch v := v.(type) {
			case handled:
			case document:
				w.Header().Set("Content-Type", v.kind)
				_, _ = w.Write(v.body) // the client is gone: nobody to tell
			default:
				answer(w, http.StatusOK, v)
			}
		}
	}
}

// handled is what a call returns that has written its answer itself.
type handled struct{}

// document is an answer that is not JSON.
type document struct {
	kind string
	body []byte
}

var errNotFound = errors.New("not found")

func refuse(w http.ResponseWriter, status int, err error) {
	answer(w, status, map[string]string{"error": err.Error()})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client is gone: nobody to tell
}

// decode reads a body of one JSON object strictly; an empty body is an empty
// object.
func decode(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	switch err := d.Decode(into); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return fmt.Errorf("body: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("body: something follows after the JSON object")
	}
	return nil
}

func (a *API) describe(w http.ResponseWriter, r *http.Request) (any, error) {
	w.Header().Set("Vary", "Accept")
	if accepts(r, "text/html") {
		return homePage(w), nil
	}
	return map[string]any{"calls": a.calls()}, nil
}

func (a *API) mail(_ http.ResponseWriter, r *http.Request) (any, error) {
	var l Letter
	if err := decode(r, &l); err != nil {
		return nil, err
	}
	from, raw, err := l.Message()
	if err != nil {
		return nil, err
	}
	delivered, err := a.opt.Organisation.Deliver(exchange.Envelope{From: from, To: l.To, Raw: raw})
	if err != nil {
		return nil, err
	}
	type outcome struct {
		Mailbox string `json:"mailbox"`
		Item    string `json:"item,omitempty"`
		Error   string `json:"error,omitempty"`
	}
	out := make([]outcome, len(delivered))
	for i, d := range delivered {
		out[i] = outcome{Mailbox: d.Mailbox, Item: d.Item}
		if d.Err != nil {
			out[i].Error = d.Err.Error()
		}
	}
	return map[string]any{"delivered": out}, nil
}

func (a *API) listFaults(http.ResponseWriter, *http.Request) (any, error) {
	return map[string]any{"faults": a.opt.Faults.List()}, nil
}

func (a *API) addFault(_ http.ResponseWriter, r *http.Request) (any, error) {
	var f fault.Fault
	if err := decode(r, &f); err != nil {
		return nil, err
	}
	f, err := a.opt.Faults.Add(f)
	if err != nil {
		return nil, err
	}
	a.opt.Journal.Append(journal.Entry{Server: "control", Kind: "fault", Operation: "add", Fault: f.Name, Detail: map[string]string{"id": f.ID}})
	return f, nil
}

func (a *API) endFaults(_ http.ResponseWriter, r *http.Request) (any, error) {
	if id := r.URL.Query().Get("id"); id != "" {
		if !a.opt.Faults.Remove(id) {
			return nil, fmt.Errorf("fault %q: %w", id, errNotFound)
		}
	} else {
		a.opt.Faults.Clear()
	}
	a.opt.Journal.Append(journal.Entry{Server: "control", Kind: "fault", Operation: "end", Detail: map[string]string{"id": r.URL.Query().Get("id")}})
	return map[string]any{"faults": a.opt.Faults.List()}, nil
}

func (a *API) reset(http.ResponseWriter, *http.Request) (any, error) {
	a.opt.Faults.Clear()
	if a.opt.Reset != nil {
		if err := a.opt.Reset(); err != nil {
			return nil, err
		}
	}
	a.opt.Journal.Clear() // last: what the reset did is no news
	return map[string]any{"last": a.opt.Journal.Last()}, nil
}

func (a *API) state(http.ResponseWriter, *http.Request) (any, error) {
	out := map[string]any{
		"organisation": a.opt.Organisation.State(), "inside": a.opt.Organisation.Snapshot(snapshotMax),
		"faults": a.opt.Faults.List(), "journal_last": a.opt.Journal.Last(),
	}
	if a.opt.State != nil {
		out["servers"] = a.opt.State()
	}
	return out, nil
}

func (a *API) mailboxes(http.ResponseWriter, *http.Request) (any, error) {
	return map[string][]string{"mailboxes": a.opt.Organisation.Mailboxes()}, nil
}

func (a *API) ready(http.ResponseWriter, *http.Request) (any, error) {
	if a.opt.Ready == nil {
		return nil, errNotFound
	}
	return a.opt.Ready(), nil
}

func (a *API) move(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in struct {
		Server   string         `json:"server"`
		Database string         `json:"database"`
		Took     fault.Duration `json:"took"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	to, err := either("server", in.Server, "database", in.Database, false)
	if err != nil {
		return nil, err
	}
	if err := a.opt.Organisation.Move(r.PathValue("address"), to, time.Duration(in.Took)); err != nil {
		return nil, err
	}
	return map[string]string{"mailbox": r.PathValue("address"), "to": to}, nil
}

func (a *API) markRead(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in struct {
		Item string `json:"item"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	return map[string]string{"item": in.Item}, a.opt.Organisation.MarkRead(r.PathValue("address"), in.Item)
}

func (a *API) restart(_ http.ResponseWriter, r *http.Request) (any, error) {
	return map[string]string{"restarted": r.PathValue("name")}, a.opt.Organisation.RestartServer(r.PathValue("name"))
}

func (a *API) cut(_ http.ResponseWriter, r *http.Request) (any, error) {
	scope, err := scopeOf(r)
	if err != nil {
		return nil, err
	}
	return map[string]int{"cut": a.opt.Organisation.CutStreams(scope)}, nil
}

func (a *API) lose(_ http.ResponseWriter, r *http.Request) (any, error) {
	scope, err := scopeOf(r)
	if err != nil {
		return nil, err
	}
	return map[string]int{"lost": a.opt.Organisation.LoseSubscriptions(scope)}, nil
}

func scopeOf(r *http.Request) (string, error) {
	var in struct {
		Scope string `json:"scope"`
	}
	err := decode(r, &in)
	return in.Scope, err
}
