package fakewns

import (
	"encoding/json"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailbell/fakes/fault"
	"mailbell/fakes/journal"
)

// push is one request to a channel.
type push struct {
	arrived     time.Time
	uri         string // as asked for
	method      string
	header      http.Header
	length      bool // Content-Length was sent
	expects     bool // 100-continue
	body        []byte
	kind        string
	policy      string
	tag, group  string
	ttl         time.Duration
	contentType string
}

// verdict is the answer to a push. The zero value means "nothing against it".
type verdict struct {
	status       int
	notification string // both status headers; "": neither
	description  string // X-WNS-Error-Description
	retryAfter   time.Duration
	bare         bool // no X-WNS header at all

	device string // X-WNS-DeviceConnectionStatus
	effect string
	fault  string
	id     string
	trace  string
	cv     string
	delay  time.Duration
	cut    bool
}

func refuse(status int, description string) verdict {
	return verdict{status: status, description: description}
}

func (s *Server) serveChannel(w http.ResponseWriter, r *http.Request) {
	p := &push{
		arrived: s.o.Now(), uri: "https://" + strings.TrimSuffix(r.Host, ":443") + r.RequestURI, method: r.Method, header: r.Header,
		length: r.Header.Get("Content-Length") != "" && len(r.TransferEncoding) == 0, expects: r.Header.Get("Expect") != "",
		kind: r.Header.Get("X-WNS-Type"), policy: r.Header.Get("X-WNS-Cache-Policy"), tag: r.Header.Get("X-WNS-Tag"), group: r.Header.Get("X-WNS-Group"),
	}
	p.contentType, _, _ = mime.ParseMediaType(r.Header.Get("Content-Type"))
	f := s.misbehaviour(fault.Scope{Server: "wns", Device: p.uri})
	if f.Name == faultReset {
		s.o.Journal.Append(journal.Entry{Time: p.arrived, Server: "wns", Kind: "fault", Device: p.uri, Fault: f.Name})
		cut(w)
		return
	}
	var err error
	if p.body, err = io.ReadAll(io.LimitReader(r.Body, readMax)); err != nil {
		cut(w) // the client went away in the middle
		return
	}
	v := s.decide(p, f)
	if !pause(r, v.delay) {
		return
	}
	if v.cut {
		cut(w)
		return
	}
	v.write(w)
}

// decide finds the verdict, lets the device have an accepted push, and writes
// the journal. The lock makes one story of devices and journal.
func (s *Server) decide(p *push, f fault.Fault) verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Pushes++
	v := answered(f)
	if v.status == 0 && s.throttle > 0 {
		v = s.throttled(s.throttle)
	}
	var a *app
	var c *channel
	if v.status == 0 {
		a, c, v = s.check(p)
	}
	if v.status == 0 {
		v = s.deliver(p, f, a, c)
	}
	if strings.EqualFold(p.header.Get("X-WNS-RequestForStatus"), "true") && c != nil {
		v.device = "disconnected"
		if c.online {
			v.device = "connected"
		}
	}
	v.id, v.trace, v.cv = s.messageID(), "DB5PEPF000"+strconv.FormatUint(uint64(s.random.Uint32()>>12), 16), p.header.Get("MS-CV")
	if v.cv == "" {
		v.cv = s.messageID() + ".0"
	}
	v.fault = f.Name
	v.delay = s.delay()
	if f.Name == faultSlow {
		v.delay += f.Duration("delay", slowDefault)
	}
	v.cut = f.Name == faultLostAnswer && v.status == http.StatusOK
	s.record(p, &v)
	return v
}

// deliver is the end of a push with nothing against it.
func (s *Server) deliver(p *push, f fault.Fault, a *app, c *channel) verdict {
	ok := func(notification, effect string) verdict {
		return verdict{status: http.StatusOK, notification: notification, effect: effect}
	}
	switch f.Name {
	case faultDropped:
		return ok("dropped", effectDropped)
	case faultChannelThrottled:
		return ok("channelthrottled", effectDropped)
	}
	if s.o.ChannelMax > 0 {
		from := p.arrived.Add(-s.o.ChannelWindow)
		c.recent = slices.DeleteFunc(c.recent, from.After)
		if len(c.recent) >= s.o.ChannelMax {
			return ok("channelthrottled", effectDropped)
		}
		c.recent = append(c.recent, p.arrived)
	}
	if !c.online && p.kind == "wns/toast" && s.o.AwayToastsDropped {
		return ok("dropped", effectDropped)
	}
	c.expire(p.arrived)
	s.stats.Received++
	return ok("received", c.receive(p, a.AppSDK))
}

func (s *Server) throttled(retryAfter time.Duration) verdict {
	return verdict{
		status: s.o.ThrottleStatus, notification: "appthrottled", retryAfter: retryAfter,
		description: "App is throttled. Wait for the seconds of the value in Retry-After header and try again",
	}
}

// write answers with an empty body. The names are upper case on the wire, as
// those of the real service: the map's keys are written as they stand.
func (v *verdict) write(w http.ResponseWriter) {
	h := w.Header()
	set := func(name, value string) {
		if value != "" {
			h[name] = []string{value}
		}
	}
	if !v.bare {
		set("X-WNS-STATUS", v.notification)
		set("X-WNS-NOTIFICATIONSTATUS", v.notification)
		set("X-WNS-DEVICECONNECTIONSTATUS", v.device)
		set("X-WNS-ERROR-DESCRIPTION", v.description)
		set("X-WNS-MSG-ID", v.id)
		set("X-WNS-DEBUG-TRACE", v.trace)
	}
	set("MS-CV", v.cv)
	set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	if v.retryAfter > 0 {
		set("Retry-After", strconv.Itoa(int(v.retryAfter.Seconds())))
	}
	if v.status == http.StatusForbidden {
		h["WWW-Authenticate"] = []string{""} // seen empty
	}
	set("Content-Length", "0")
	w.WriteHeader(v.status)
}

// record writes the push into the journal. Called with mu held.
func (s *Server) record(p *push, v *verdict) {
	detail := map[string]string{"type": p.kind, "msg_id": v.id}
	maps.Copy(detail, present(map[string]string{
		"tag": p.tag, "group": p.group, "ttl": p.header.Get("X-WNS-TTL"), "policy": p.policy, "priority": p.header.Get("X-WNS-PRIORITY"), "effect": v.effect,
	}))
	if p.expects {
		detail["expect"] = "100-continue"
	}
	reason := v.notification
	if reason == "" {
		reason = v.description
	}
	var body json.RawMessage
	if len(p.body) > 0 {
		body, _ = json.Marshal(string(p.body)) // a string has a JSON form
	}
	s.o.Journal.Append(journal.Entry{
		Time: p.arrived, Server: "wns", Kind: "push", Device: p.uri, Operation: p.method, Status: v.status, Reason: reason, Fault: v.fault, Detail: detail, Body: body,
	})
}

func present(m map[string]string) map[string]string {
	maps.DeleteFunc(m, func(_, value string) bool { return value == "" })
	return m
}
