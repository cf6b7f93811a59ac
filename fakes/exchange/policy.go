package exchange

import (
	"fmt"
	"strings"
	"time"

	"mailbell/fakes/journal"
)

// AgentPolicy is EwsApplicationAccessPolicy: how user agents are judged.
type AgentPolicy string

// The policies.
const (
	AgentsAny   AgentPolicy = ""      // null: all are let in
	AgentsAllow AgentPolicy = "allow" // EnforceAllowList: only those listed
	AgentsBlock AgentPolicy = "block" // EnforceBlockList: all but those listed
)

// EWSPolicy is what an organisation says of EWS as a whole: in Exchange Online
// the switches by which Microsoft and the tenant turn it off, on premises the
// older half of them.
type EWSPolicy struct {
	// Enabled is EwsEnabled: true, false, or nil for null, which lets everybody
	// in and ignores AllowedApps.
	Enabled *bool
	// AllowedApps is EwsAllowedAppIDs: with Enabled true only these
	// applications are let in; none means all.
	AllowedApps []string
	// AgentPolicy and Agents are EwsApplicationAccessPolicy and its
	// EwsAllowList or EwsBlockList; "*" stands for any text.
	AgentPolicy AgentPolicy
	Agents      []string
}

// policy is the policy in force, and one that follows it.
type policy struct {
	now, next EWSPolicy
	at        time.Time // when next is in force; zero: there is none
}

// SetEWSPolicy changes the policy; it is in force after a delay, which in
// Exchange Online took minutes to a day. Open streams are not touched.
func (o *Organisation) SetEWSPolicy(p EWSPolicy, after time.Duration) error {
	switch p.AgentPolicy {
	case AgentsAny, AgentsAllow, AgentsBlock:
	default:
		return fmt.Errorf("exchange: agent policy %q: want allow, block or nothing", p.AgentPolicy)
	}
	switch {
	case len(p.AllowedApps) > 0 && !o.behaviour.AppLists:
		return fmt.Errorf("exchange: allowed apps: Exchange %s knows no list of applications; only Exchange Online does", o.behaviour.Version)
	case p.AgentPolicy == AgentsAny && len(p.Agents) > 0:
		return fmt.Errorf("exchange: agents: a list needs the policy allow or block")
	case len(p.AllowedApps) > ScopeMax || len(p.Agents) > ScopeMax:
		return fmt.Errorf("exchange: at most %d applications and %d agents may be listed", ScopeMax, ScopeMax)
	}
	for _, s := range append(append([]string(nil), p.AllowedApps...), p.Agents...) {
		if strings.TrimSpace(s) == "" {
			return fmt.Errorf("exchange: a list of applications or agents has an empty entry")
		}
	}
	if err := checkDuration("after", after); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.policy.settle()
	o.policy.next, o.policy.at = p, time.Now().Add(after)
	o.policy.settle()
	o.record(journal.Entry{Kind: "tenant", Detail: map[string]string{
		"ews_enabled": tristate(p.Enabled), "allowed_apps": strings.Join(p.AllowedApps, " "),
		"agent_policy": string(p.AgentPolicy), "agents": strings.Join(p.Agents, " "), "after": after.String(),
	}})
	return nil
}

// EWSPolicy is the policy in force.
func (o *Organisation) EWSPolicy() EWSPolicy {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.policy.settle()
	return o.policy.now
}

func (p *policy) settle() {
	if !p.at.IsZero() && !time.Now().Before(p.at) {
		p.now, p.at = p.next, time.Time{}
	}
}

// SetMailboxEWS sets EwsEnabled of one mailbox; nil is null.
func (o *Organisation) SetMailboxEWS(address string, enabled *bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.find(address)
	if m == nil {
		return fmt.Errorf("%w: %s", ErrNoMailbox, address)
	}
	m.ews = enabled
	o.record(journal.Entry{Kind: "ews", Mailbox: m.address, Detail: map[string]string{"ews_enabled": tristate(enabled)}})
	return nil
}

func tristate(b *bool) string {
	if b == nil {
		return "null"
	}
	return fmt.Sprint(*b)
}

// EWSCaller is who asks for EWS.
type EWSCaller struct {
	Mailbox   string // target; may be empty
	App       string // application ID; empty for an account
	UserAgent string
}

// EWSBlocked is why EWS is closed to a caller, or "": its requests are answered
// with status 403.
func (o *Organisation) EWSBlocked(c EWSCaller) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.policy.settle()
	p := &o.policy.now
	org := p.Enabled == nil || *p.Enabled
	m := o.find(c.Mailbox)
	switch {
	case m == nil || m.ews == nil:
		if !org {
			return "ews-disabled-organisation"
		}
	case !*m.ews:
		return "ews-disabled-mailbox"
	case !org && o.behaviour.BothSwitches:
		return "ews-disabled-organisation"
	}
	if p.Enabled != nil && *p.Enabled && len(p.AllowedApps) > 0 && !anyMatches(p.AllowedApps, c.App) {
		return "ews-app-not-allowed"
	}
	if p.AgentPolicy != AgentsAny && anyMatches(p.Agents, c.UserAgent) != (p.AgentPolicy == AgentsAllow) {
		return "ews-agent-blocked"
	}
	return ""
}

func anyMatches(patterns []string, s string) bool {
	for _, p := range patterns {
		if wildcard(strings.ToLower(p), strings.ToLower(s)) {
			return true
		}
	}
	return false
}

// wildcard matches s against a pattern in which * stands for any text.
func wildcard(pattern, s string) bool {
	first, rest, more := strings.Cut(pattern, "*")
	if !more {
		return s == pattern
	}
	s, ok := strings.CutPrefix(s, first)
	for ok {
		part, next, again := strings.Cut(rest, "*")
		if !again {
			return strings.HasSuffix(s, part)
		}
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s, rest = s[i+len(part):], next
	}
	return false
}
