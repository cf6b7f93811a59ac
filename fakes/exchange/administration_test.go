package exchange

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailbell/fakes/iisauth"
)

const bob = "bob@fabrikam.test"

// must fails the test when a verb of the organisation was refused.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func code(e *Error) string {
	if e == nil {
		return ""
	}
	return e.Code
}

func TestADatabaseFailsOverAndAutodiscoverFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrganisation(t, Options{Servers: []string{"ex01", "ex02"}})
		state, err := o.MailboxState(ada)
		must(t, err)
		sub, refused := o.Subscribe(SubscribeRequest{Account: "svc", Mailbox: ada, Server: state.Server, Folders: []FolderRef{{Distinguished: Inbox}}, Kinds: []EventKind{NewMailEvent}})
		if refused != nil {
			t.Fatal(refused)
		}
		to, err := o.FailOverDatabase(state.Database, "", time.Minute)
		must(t, err)
		if to == state.Server {
			t.Errorf("it failed over to where it was, %s", to)
		}
		if got := code(o.Available(ada)); got != CodeStoreUnavailable {
			t.Errorf("meanwhile: %q", got)
		}
		if o.SubscriptionMailbox(sub) != "" {
			t.Error("the subscription outlived the fail-over")
		}
		time.Sleep(time.Minute)
		after, err := o.MailboxState(ada)
		must(t, err)
		s, _ := o.Settings(ada)
		if after.Server != to || after.Database != state.Database || after.Unavailable != "" || s.Server != to {
			t.Errorf("afterwards %+v, Autodiscover tells %s; want %s", after, s.Server, to)
		}
		if _, err := o.FailOverDatabase("nowhere", "", 0); err == nil || !strings.Contains(err.Error(), state.Database) {
			t.Errorf("unknown database: %v; want the known ones named", err)
		}
		if _, err := o.FailOverDatabase(state.Database, "", -time.Second); err == nil || !strings.Contains(err.Error(), "took") {
			t.Errorf("negative time: %v", err)
		}
	})
}

func TestAMailboxKeepsItsOldAddressWhenItIsRenamed(t *testing.T) {
	o := newOrganisation(t, Options{Domains: []string{"contoso.test", "fabrikam.test"}})
	must(t, o.AddMailbox(bob, MailboxOptions{}))
	item := deliver(t, o, ada, "Subject: before\r\n\r\n").Item
	must(t, o.RenameMailbox(ada, "Lovelace@Fabrikam.test"))
	for _, address := range []string{"lovelace@fabrikam.test", ada, "countess@contoso.test"} {
		if s, ok := o.Settings(address); !ok || s.Address != "lovelace@fabrikam.test" {
			t.Errorf("%s leads to %+v", address, s)
		}
	}
	if _, err := o.GetItem("lovelace@fabrikam.test", item); err != nil {
		t.Errorf("the mail from before: %v", err)
	}
	for name, err := range map[string]error{
		"taken":      o.RenameMailbox("lovelace@fabrikam.test", bob),
		"no address": o.RenameMailbox(bob, "bob"),
		"nobody":     o.RenameMailbox("nobody@contoso.test", "x@contoso.test"),
		"no alias":   o.RemoveAlias(bob, ada),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	must(t, o.RemoveAlias("lovelace@fabrikam.test", ada))
	if _, ok := o.Settings(ada); ok {
		t.Error("the alias is gone, and the address still known")
	}
}

func TestARuleOfTheClientMovesAMailOutOfTheInboxAfterItsEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrganisation(t, Options{})
		must(t, o.AddRule(ada, Rule{FromContains: "eve@", MoveTo: JunkEmail, MarkRead: true, Client: true, After: 10 * time.Second}))
		item := deliver(t, o, ada, "From: Eve <eve@example.org>\r\nSubject: x\r\n\r\n").Item
		if it, err := o.GetItem(ada, item); err != nil || it.Read {
			t.Errorf("at first: %+v, %v", it, err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if _, err := o.GetItem(ada, item); code(err) != CodeItemNotFound {
			t.Errorf("by its old id: %v", err)
		}
		f, err := o.GetFolder(ada, FolderRef{Distinguished: JunkEmail})
		if err != nil || f.Total != 1 || f.Unread != 0 {
			t.Errorf("junk: %+v, %v", f, err)
		}
	})
}

func TestRulesThatCannotWorkAreRefused(t *testing.T) {
	o := newOrganisation(t, Options{})
	for want, r := range map[string]Rule{
		"condition":       {MoveTo: JunkEmail},
		"action":          {SubjectContains: "x"},
		"exclude":         {SubjectContains: "x", MoveTo: JunkEmail, Delete: true},
		"no folder":       {SubjectContains: "x", MoveTo: "nowhere"},
		"rules of the cl": {SubjectContains: "x", MarkRead: true, After: time.Second},
	} {
		if err := o.AddRule(ada, r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v; want %q", r, err, want)
		}
	}
}

func TestAnAccountImpersonatesWithinItsScopeOnly(t *testing.T) {
	o := newOrganisation(t, Options{})
	must(t, o.AddMailbox(bob, MailboxOptions{}))
	o.AddAccount(iisauth.Account{User: "svc", NetBIOS: "CONTOSO", Impersonation: true})
	may := func() string { return fmt.Sprint(o.MayImpersonate("svc", ada), o.MayImpersonate("svc", bob)) }
	for _, c := range []struct {
		scope []string
		want  string
	}{
		{nil, "true true"},
		{[]string{}, "false false"},
		{[]string{"@fabrikam.test"}, "false true"},
		{[]string{"COUNTESS@contoso.test"}, "true false"},
		{nil, "true true"},
	} {
		must(t, o.ScopeImpersonation(`CONTOSO\svc`, c.scope))
		if got := may(); got != c.want {
			t.Errorf("scope %q: %s, want %s", c.scope, got, c.want)
		}
	}
	if err := o.ScopeImpersonation("svc", []string{"contoso"}); err == nil {
		t.Error("a scope that is neither an address nor a domain was taken")
	}
}

func TestEWSIsClosedToWhomThePolicySays(t *testing.T) {
	yes, no := true, false
	online, premises := newOrganisation(t, Options{Version: VOnline}), newOrganisation(t, Options{})
	for _, c := range []struct {
		name    string
		org     *Organisation
		policy  EWSPolicy
		mailbox *bool
		caller  EWSCaller
		want    string
	}{
		{"nothing said", online, EWSPolicy{}, nil, EWSCaller{App: "a"}, ""},
		{"off for the organisation", online, EWSPolicy{Enabled: &no}, nil, EWSCaller{App: "a"}, "ews-disabled-organisation"},
		{"off for the mailbox", online, EWSPolicy{Enabled: &yes}, &no, EWSCaller{}, "ews-disabled-mailbox"},
		{"on for the mailbox, off for the organisation, online", online, EWSPolicy{Enabled: &no}, &yes, EWSCaller{}, "ews-disabled-organisation"},
		{"an application on the list", online, EWSPolicy{Enabled: &yes, AllowedApps: []string{"A"}}, nil, EWSCaller{App: "a"}, ""},
		{"an application that is not", online, EWSPolicy{Enabled: &yes, AllowedApps: []string{"a"}}, nil, EWSCaller{App: "b"}, "ews-app-not-allowed"},
		{"the list does not count with null", online, EWSPolicy{AllowedApps: []string{"a"}}, nil, EWSCaller{App: "b"}, ""},
		{"a blocked agent", premises, EWSPolicy{AgentPolicy: AgentsBlock, Agents: []string{"*Mail*/1*"}}, nil, EWSCaller{UserAgent: "mailbell/1.2"}, "ews-agent-blocked"},
		{"another agent", premises, EWSPolicy{AgentPolicy: AgentsBlock, Agents: []string{"Outlook*"}}, nil, EWSCaller{UserAgent: "Mailbell/1"}, ""},
		{"an agent that is not allowed", premises, EWSPolicy{AgentPolicy: AgentsAllow, Agents: []string{"Outlook*"}}, nil, EWSCaller{UserAgent: "Mailbell/1"}, "ews-agent-blocked"},
	} {
		must(t, c.org.SetEWSPolicy(c.policy, 0))
		must(t, c.org.SetMailboxEWS(ada, c.mailbox))
		c.caller.Mailbox = ada
		if got := c.org.EWSBlocked(c.caller); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if err := premises.SetEWSPolicy(EWSPolicy{AllowedApps: []string{"a"}}, 0); err == nil {
		t.Error("a list of applications was taken on premises")
	}
}

func TestAPolicyIsInForceWhenItsTimeHasCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, no := newOrganisation(t, Options{Version: VOnline}), false
		must(t, o.SetEWSPolicy(EWSPolicy{Enabled: &no}, time.Hour))
		time.Sleep(time.Hour - time.Second)
		if got := o.EWSBlocked(EWSCaller{Mailbox: ada}); got != "" {
			t.Errorf("too early: %s", got)
		}
		time.Sleep(time.Second)
		if got := o.EWSBlocked(EWSCaller{Mailbox: ada}); got == "" {
			t.Error("not in force")
		}
	})
}

func TestCPUTimeDelaysThenRefusesAndRecharges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrganisation(t, Options{CPU: &CPUBudget{Request: time.Second, Burst: 10 * time.Second, Recharge: 30 * time.Minute, Cutoff: 5 * time.Second}})
		ask := func() (took time.Duration, refusal *Error) {
			began := time.Now()
			release, err := o.BeginRequest(t.Context(), ServiceCharge("svc", ada))
			if release != nil {
				release()
			}
			return time.Since(began), err
		}
		for i := range 10 {
			if took, err := ask(); took != 0 || err != nil {
				t.Fatalf("request %d: %v, %v", i, took, err)
			}
		}
		if took, err := ask(); took != 2*time.Second || err != nil {
			t.Errorf("below zero: %v, %v; want a delay of its cost at half speed", took, err)
		}
		for i := range 100 { // one after the other they recharge what they cost
			if _, err := ask(); err != nil {
				t.Fatalf("delayed request %d: %v", i, err)
			}
		}
		// Many at once do not wait for one another's delay.
		const many = 20
		answers := make(chan *Error, many)
		for range many {
			go func() { _, err := ask(); answers <- err }()
		}
		busy := 0
		for range many {
			if code(<-answers) == CodeServerBusy {
				busy++
			}
		}
		b := o.Budgets(10)
		if busy == 0 || b.Violations != busy || len(b.Accounts) == 0 {
			t.Errorf("%d refused; budgets %+v", busy, b)
		}
		time.Sleep(CPULockedFor + time.Hour)
		if took, err := ask(); took != 0 || err != nil {
			t.Errorf("recharged: %v, %v", took, err)
		}
	})
}

func TestBudgetsTellWhatIsInUseAndWhatWasRefused(t *testing.T) {
	o := newOrganisation(t, Options{Version: V2013})
	limit := o.Behaviour().RequestsMax
	var releases []func()
	for range limit {
		release, err := o.BeginRequest(t.Context(), ServiceCharge("svc", ada))
		if err != nil {
			t.Fatal(err)
		}
		releases = append(releases, release)
	}
	if _, err := o.BeginRequest(t.Context(), ServiceCharge("svc", ada)); code(err) != CodeExceededConnectionCount {
		t.Errorf("one more: %v", err)
	}
	other, err := o.BeginRequest(t.Context(), ServiceCharge("other", ada))
	if err != nil {
		t.Errorf("another service account has a budget of its own: %v", err)
	}
	other()
	b := o.Budgets(5)
	var svc AccountBudget
	for _, a := range b.Accounts {
		if a.Account == "svc" {
			svc = a
		}
	}
	if b.Violations != 1 || svc.Requests != limit || svc.Refused[PolicyRequests] != 1 || len(b.Mailboxes) != 1 || b.Mailboxes[0].Mailbox != ada {
		t.Errorf("%+v", b)
	}
	for _, release := range releases {
		release()
	}
	if b := o.Budgets(5); len(b.Accounts) > 0 && b.Accounts[0].Requests != 0 {
		t.Errorf("after all are over: %+v", b)
	}
}

func TestAResetTakesBackWhatAdministratorsDid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrganisation(t, Options{Servers: []string{"ex01", "ex02"}, Version: VOnline})
		o.AddAccount(iisauth.Account{User: "svc", NetBIOS: "CONTOSO", Impersonation: true})
		before, err := o.MailboxState(ada)
		must(t, err)
		accounts := o.Accounts()
		reset := o.Remember()
		no := false
		must(t, o.RenameMailbox(ada, "x@contoso.test"))
		_, err = o.FailOverDatabase(before.Database, "", time.Hour)
		must(t, err)
		must(t, o.SetEWSPolicy(EWSPolicy{Enabled: &no}, 0))
		must(t, o.SetMailboxEWS(ada, &no))
		must(t, o.ScopeImpersonation("svc", []string{"@nowhere.test"}))
		must(t, o.ChangeAccount("svc", func(a *iisauth.Account) { a.Disabled = true }))
		must(t, o.AddMailbox(bob, MailboxOptions{}))
		deliver(t, o, ada, "Subject: x\r\n\r\n")
		reset()
		after, err := o.MailboxState(ada)
		must(t, err)
		if before.Folders, after.Folders = nil, nil; !reflect.DeepEqual(after, before) {
			t.Errorf("mailbox %+v, want %+v", after, before)
		}
		if got := o.Accounts(); !reflect.DeepEqual(got, accounts) {
			t.Errorf("accounts %+v, want %+v", got, accounts)
		}
		if blocked := o.EWSBlocked(EWSCaller{Mailbox: ada}); blocked != "" {
			t.Errorf("EWS is %s", blocked)
		}
		if got := o.Mailboxes(); len(got) != 1 {
			t.Errorf("mailboxes %q", got)
		}
		if f, err := o.GetFolder(ada, FolderRef{Distinguished: Inbox}); err != nil || f.Total != 0 {
			t.Errorf("inbox %+v, %v", f, err)
		}
	})
}
