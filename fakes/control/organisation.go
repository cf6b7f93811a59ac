package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"mailbell/fakes/exchange"
	"mailbell/fakes/fault"
	"mailbell/fakes/iisauth"
)

// BudgetMailboxesMax bounds the mailboxes of GET /budgets.
const BudgetMailboxesMax = 1000

// organisationCalls are what administrators, owners of mailboxes and Microsoft
// do to the organisation while it runs.
func (a *API) organisationCalls() []call {
	took := "how long it takes, such as 30s; at once by default"
	return []call{
		{"GET", "/faults/names", "the faults there are", nil, a.faultNames},

		{"POST", "/mailboxes", "makes a mailbox", map[string]string{"address": "local@domain", "display_name": "made from the address by default", "aliases": "further addresses", "server": "where it lives; the databases in turn by default", "database": "instead of server"}, a.addMailbox},
		{"GET", "/mailboxes/{address}", "a mailbox as it is", nil, a.mailbox},
		{"POST", "/mailboxes/{address}/disable", "disables the account of a mailbox: ErrorAccountDisabled", nil, a.disable(true)},
		{"POST", "/mailboxes/{address}/enable", "enables it again", nil, a.disable(false)},
		{"POST", "/mailboxes/{address}/rename", "gives a new primary address; the old one stays an alias", map[string]string{"to": "local@domain"}, a.rename},
		{"POST", "/mailboxes/{address}/alias", "adds or removes a further address", map[string]string{"add": "address", "remove": "address"}, a.alias},
		{"POST", "/mailboxes/{address}/delete", "deletes a mailbox with all it holds", nil, a.deleteMailbox},
		{"POST", "/mailboxes/{address}/ews", "sets EwsEnabled of a mailbox: its requests get 403", map[string]string{"enabled": "true, false or null"}, a.mailboxEWS},
		{"POST", "/mailboxes/{address}/folders", "makes a folder below the Inbox", map[string]string{"name": "text"}, a.addFolder},
		{"POST", "/mailboxes/{address}/rules", "adds an Inbox rule", map[string]string{"subject_contains": "text", "from_contains": "text", "move_to": "folder", "delete": "true: into Deleted Items", "mark_read": "true or false", "client": "true: runs in the owner's client, after the mail was in the Inbox", "after": "how long the client takes"}, a.addRule},
		{"POST", "/mailboxes/{address}/rules/clear", "takes all rules away", nil, a.clearRules},
		{"POST", "/mailboxes/{address}/items", "puts an item into a folder as a program or a draft does: no NewMailEvent, no rules", map[string]string{"folder": "drafts, inbox, …", "from": "address or Name <address>", "subject": "text", "body": "text", "raw": "a whole RFC 5322 message instead"}, a.createItem},
		{"POST", "/mailboxes/{address}/items/move", "moves an item", map[string]string{"item": "id", "folder": "drafts, inbox, …"}, a.moveItem},
		{"POST", "/mailboxes/{address}/items/copy", "copies an item", map[string]string{"item": "id", "folder": "drafts, inbox, …"}, a.copyItem},
		{"POST", "/mailboxes/{address}/items/delete", "deletes an item for good", map[string]string{"item": "id"}, a.onItem((*exchange.Organisation).Delete)},
		{"POST", "/mailboxes/{address}/items/flag", "changes an item without its read state", map[string]string{"item": "id"}, a.onItem((*exchange.Organisation).Touch)},
		{"POST", "/mailboxes/{address}/items/unread", "marks an item as unread", map[string]string{"item": "id"}, a.onItem((*exchange.Organisation).MarkUnread)},

		{"POST", "/servers/{name}/failover", "dismounts the databases of a server for a time", map[string]string{"took": took}, a.serverFailOver},
		{"POST", "/databases/{name}/failover", "mounts a database on another server: its mailboxes are away for a time, subscriptions are lost, Autodiscover follows", map[string]string{"to": "server; the next one by default", "took": took}, a.databaseFailOver},

		{"GET", "/accounts", "the accounts, without passwords", nil, a.accounts},
		{"POST", "/accounts", "adds an account", map[string]string{"user": "name without domain", "password": "text", "impersonation": "true: holds ApplicationImpersonation", "like": "account whose domain it shares"}, a.addAccount},
		{"POST", "/accounts/{user}/password", "changes the password", map[string]string{"password": "text"}, a.password},
		{"POST", "/accounts/{user}/disable", "disables an account: 401", nil, a.account(func(x *iisauth.Account) { x.Disabled = true })},
		{"POST", "/accounts/{user}/enable", "enables it again", nil, a.account(func(x *iisauth.Account) { x.Disabled = false })},
		{"POST", "/accounts/{user}/lock", "locks an account: 401", nil, a.account(func(x *iisauth.Account) { x.Locked = true })},
		{"POST", "/accounts/{user}/unlock", "unlocks it", nil, a.account(func(x *iisauth.Account) { x.Locked = false })},
		{"POST", "/accounts/{user}/expire", "lets the password expire: 401 until it is changed", nil, a.account(func(x *iisauth.Account) { x.Expired = true })},
		{"POST", "/accounts/{user}/impersonation", "grants or removes the right to impersonate", map[string]string{"granted": "true or false", "scope": "addresses and @domains it is limited to; no limit by default"}, a.impersonation},
		{"POST", "/apps/{id}/scope", "limits whom an application may impersonate", map[string]string{"scope": "addresses and @domains; null lifts the limit"}, a.appScope},

		{"GET", "/tenant", "what the organisation says of EWS", nil, a.tenant},
		{"POST", "/tenant", "changes it as a whole: refused requests get 403", map[string]string{"ews_enabled": "true, false or null", "allowed_apps": "application IDs let in while ews_enabled is true; all by default", "agent_policy": "allow or block", "agents": "user agents, * for any text", "after": "how long the change takes", "cut_streams": "true: open streams are cut as well"}, a.setTenant},

		{"GET", "/budgets", "throttling: what accounts and mailboxes have in use, and what was refused; ?mailboxes=N of the busiest", nil, a.budgets},
		{"POST", "/budgets/forget", "starts counting refusals anew", nil, a.forgetBudgets},
		{"POST", "/throttling", "switches the budgets on or off", map[string]string{"on": "true or false"}, a.throttling},
	}
}

// body reads the body of a call into its fields.
func body[T any](r *http.Request) (in T, _ error) { return in, decode(r, &in) }

// nothing refuses a body that says something.
func nothing(r *http.Request) error {
	_, err := body[struct{}](r)
	return err
}

// tristate is true, false or null; missing is none of them.
type tristate struct {
	given bool
	value *bool
}

// UnmarshalJSON reads it.
func (t *tristate) UnmarshalJSON(b []byte) error {
	t.given, t.value = true, nil
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	t.value = new(bool)
	if err := json.Unmarshal(b, t.value); err != nil {
		return fmt.Errorf("%s is not true, false or null", b)
	}
	return nil
}

func (a *API) faultNames(http.ResponseWriter, *http.Request) (any, error) {
	return map[string]any{"names": a.opt.Faults.Names()}, nil
}

// state answers a call about a mailbox with the mailbox.
func (a *API) mailboxState(address string, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return a.opt.Organisation.MailboxState(address)
}

func (a *API) addMailbox(_ http.ResponseWriter, r *http.Request) (any, error) {
	in, err := body[struct {
		Address     string   `json:"address"`
		DisplayName string   `json:"display_name"`
		Aliases     []string `json:"aliases"`
		Server      string   `json:"server"`
		Database    string   `json:"database"`
	}](r)
	if err != nil {
		return nil, err
	}
	where, err := either("server", in.Server, "database", in.Database, true)
	if err != nil {
		return nil, err
	}
	return a.mailboxState(in.Address, a.opt.Organisation.AddMailbox(in.Address, exchange.MailboxOptions{DisplayName: in.DisplayName, Aliases: in.Aliases, Server: where}))
}

// either takes one of two fields.
func either(nameA, a, nameB, b string, neither bool) (string, error) {
	switch {
	case a != "" && b != "":
		return "", fmt.Errorf("%s, %s: give one of them", nameA, nameB)
	case a == "" && b == "" && !neither:
		return "", fmt.Errorf("%s: missing; give it or %s", nameA, nameB)
	}
	return a + b, nil
}

func (a *API) mailbox(_ http.ResponseWriter, r *http.Request) (any, error) {
	return a.mailboxState(r.PathValue("address"), nil)
}

func (a *API) disable(disabled bool) func(http.ResponseWriter, *http.Request) (any, error) {
	return func(_ http.ResponseWriter, r *http.Request) (any, error) {
		if err := nothing(r); err != nil {
			return nil, err
		}
		return a.mailboxState(r.PathValue("address"), a.opt.Organisation.SetMailboxDisabled(r.PathValue("address"), disabled))
	}
}

func (a *API) rename(_ http.ResponseWriter, r *http.Request) (any, error) {
	in, err := body[struct {
		To string `json:"to"`
	}](r)
	if err != nil {
		return nil, err
	}
	return a.mailboxState(in.To, a.opt.Organisation.RenameMailbox(r.PathValue("address"), in.To))
}

func (a *API) alias(_ http.ResponseWriter, r *http.Request) (any, error) {
	in, err := body[struct {
		Add    string `json:"add"`
		Remove string `json:"remove"`
	}](r)
	if err != nil {
		return nil, err
	}
	if _, err := either("add", in.Add, "remove", in.Remove, false); err != nil {
		return nil, err
	}
	if in.Add != "" {
		return a.mailboxState(r.PathValue("address"), a.opt.Organisation.AddAlias(r.PathValue("address"), in.Add))
	}
	return a.mailboxState(r.PathValue("address"), a.opt.Organisation.RemoveAlias(r.PathValue("address"), in.Remove))
}

func (a *API) deleteMailbox(_ http.ResponseWriter, r *http.Request) (any, error) {
	if err := nothing(r); err != nil {
		return nil, err
	}
	return map[string]string{"deleted": r.PathValue("address")}, a.opt.Organisation.RemoveMailbox(r.PathValue("address"))
}

func (a *API) mailboxEWS(_ http.ResponseWriter, r *http.Request) (any, error) {
	in, err := body[struct {
		Enabled tristate `json:"enabled"`
	}](r)
	if err != nil {
		return nil, err
	}
	if !in.Enabled.given {
		return nil, errors.New("enabled: missing; true, false or null")
	}
	return a.mailboxState(r.PathValue("address"), a.opt.Organisation.SetMailboxEWS(r.PathValue("address"), in.Enabled.value))
}

func (a *API) addFolder(_ http.ResponseWriter, r *http.Request) (any, error) {
	in, err := body[struct {
		Name string `json:"name"`
	}](r)
	if err != nil {
		return nil, err
	}
	return a.mailboxState(r.PathValue("address"), a.opt.Organisation.AddFolder(r.PathValue("address"), in.Name))
}

func (a *API) addRule(_ http.ResponseWriter, r *http.Request) (any, error) {
	in, err := body[struct {
		SubjectContains string         `json:"subject_contains"`
		FromContains    string         `json:"from_contains"`
		MoveTo          string         `json:"move_to"`
		Delete          bool           `json:"delete"`
		MarkRead        bool           `json:"mark_read"`
		Client          bool           `json:"client"`
		After           fault.Duration `json:"after"`
	}](r)
	if err != nil {
		return nil, err
	}
	return a.mailboxState(r.PathValue("address"), a.opt.Organisation.AddRule(r.PathValue("address"), exchange.Rule{
		SubjectContains: in.SubjectContains, FromContains: in.FromContains, MoveTo: in.MoveTo, Delete: in.Delete, MarkRead: in.MarkRead,
		Client: in.Client, After: time.Duration(in.After),
	}))
}

func (a *API) clearRules(_ http.ResponseWriter, r *http.Request) (any, error) {
	if err := nothing(r); err != nil {
		return nil, err
	}
	return a.mailboxState(r.PathValue("address"), a.opt.Organisation.RemoveRules(r.PathValue("address")))
}

func (a *API) createItem(_ http.ResponseWriter, r *http.Request) (any, error) {
	in, err := body[struct {
		Folder string `json:"folder"`
		From   string `json:"from"`
		Letter
	}](r)
	if err != nil {
		return nil, err
	}
	if in.Folder == "" {
		return nil, errors.New("folder: missing; drafts, inbox, …")
	}
	if len(in.To) == 0 {
		in.To = []string{r.PathValue("address")}
	}
	if in.Letter.From = in.From; in.From == "" && in.Raw == "" {
		in.Letter.From = r.PathValue("address")
	}
	_, raw, err := in.Message()
	if err != nil {
		return nil, err
	}
	id, err := a.opt.Organisation.CreateItem(r.PathValue("address"), in.Folder, raw)
	return map[string]string{"item": id}, err
}

type itemRequest struct {
	Item   string `json:"item"`
	Folder string `json:"folder"`
}

// onItem is a verb about one item.
func (a *API) onItem(do func(o *exchange.Organisation, address, id string) error) func(http.ResponseWriter, *http.Request) (any, error) {
	return func(_ http.ResponseWriter, r *http.Request) (any, error) {
		in, err := body[struct {
			Item string `json:"item"`
		}](r)
		if err != nil {
			return nil, err
		}
		return map[string]string{"item": in.Item}, do(a.opt.Organisation, r.PathValue("address"), in.Item)
	}
}

func (a *API) moveItem(_ http.ResponseWriter, r *http.Request) (any, error) {
	in, err := body[itemRequest](r)
	if err != nil {
		return nil, err
	}
	id, err := a.opt.Organisation.MoveItem(r.PathValue("address"), in.Item, in.Folder)
	return map[string]string{"item": id}, err
}

func (a *API) copyItem(_ http.ResponseWriter, r *http.Request) (any, error) {
	in, err := body[itemRequest](r)
	if err != nil {
		return nil, err
	}
	id, err := a.opt.Organisation.CopyItem(r.PathValue("address"), in.Item, in.Folder)
	return map[string]string{"item": id}, err
}

func (a *API) serverFailOver(_ http.ResponseWriter, r *http.Request) (any, error) {
	in, err := body[struct {
		Took fault.Duration `json:"took"`
	}](r)
	if err != nil {
		return nil, err
	}
	return map[string]string{"server": r.PathValue("name")}, a.opt.Organisation.FailOver(r.PathValue("name"), time.Duration(in.Took))
}

func (a *API) databaseFailOver(_ http.ResponseWriter, r *http.Request) (any, error) {
	in, err := body[struct {
		To   string         `json:"to"`
		Took fault.Duration `json:"took"`
	}](r)
	if err != nil {
		return nil, err
	}
	to, err := a.opt.Organisation.FailOverDatabase(r.PathValue("name"), in.To, time.Duration(in.Took))
	return map[string]string{"database": r.PathValue("name"), "server": to}, err
}

func (a *API) accounts(http.ResponseWriter, *http.Request) (any, error) {
	return map[string]any{"accounts": a.opt.Organisation.Accounts()}, nil
}

func (a *API) addAccount(_ http.ResponseWriter, r *http.Request) (any, error) {
	in, err := body[struct {
		User          string `json:"user"`
		Password      string `json:"password"`
		Impersonation bool   `json:"impersonation"`
		Like          string `json:"like"`
	}](r)
	switch {
	case err != nil:
		return nil, err
	case in.User == "":
		return nil, errors.New("user: missing")
	case in.Password == "":
		return nil, errors.New("password: missing")
	case in.Like == "":
		return nil, errors.New("like: missing; an account whose domain the new one shares, see GET /accounts")
	}
	return a.answerAccount(in.User, a.opt.Organisation.AddAccountLike(in.Like, in.User, in.Password, in.Impersonation))
}

// account is a verb that changes an account.
func (a *API) account(change func(*iisauth.Account)) func(http.ResponseWriter, *http.Request) (any, error) {
	return func(_ http.ResponseWriter, r *http.Request) (any, error) {
		if err := nothing(r); err != nil {
			return nil, err
		}
		return a.answerAccount(r.PathValue("user"), a.opt.Organisation.ChangeAccount(r.PathValue("user"), change))
	}
}

func (a *API) answerAccount(user string, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return a.opt.Organisation.AccountState(user)
}

func (a *API) password(_ http.ResponseWriter, r *http.Request) (any, error) {
	in, err := body[struct {
		Password string `json:"password"`
	}](r)
	if err != nil {
		return nil, err
	}
	if in.Password == "" {
		return nil, errors.New("password: missing")
	}
	return a.answerAccount(r.PathValue("user"), a.opt.Organisation.ChangeAccount(r.PathValue("user"), func(x *iisauth.Account) {
		x.Password, x.Expired = in.Password, false
	}))
}

func (a *API) impersonation(_ http.ResponseWriter, r *http.Request) (any, error) {
	in, err := body[struct {
		Granted tristate `json:"granted"`
		Scope   []string `json:"scope"`
	}](r)
	switch {
	case err != nil:
		return nil, err
	case in.Granted.value == nil:
		return nil, errors.New("granted: missing; true or false")
	case !*in.Granted.value && in.Scope != nil:
		return nil, errors.New("scope: belongs to granted true")
	}
	user := r.PathValue("user")
	if _, err := a.opt.Organisation.AccountState(user); err != nil {
		return nil, err
	}
	if err := a.opt.Organisation.ScopeImpersonation(user, in.Scope); err != nil {
		return nil, err
	}
	return a.answerAccount(user, a.opt.Organisation.ChangeAccount(user, func(x *iisauth.Account) { x.Impersonation = *in.Granted.value }))
}

func (a *API) appScope(_ http.ResponseWriter, r *http.Request) (any, error) {
	in, err := body[struct {
		Scope json.RawMessage `json:"scope"`
	}](r)
	if err != nil {
		return nil, err
	}
	if in.Scope == nil {
		return nil, errors.New("scope: missing; a list of addresses and @domains, or null")
	}
	var scope []string
	if err := json.Unmarshal(in.Scope, &scope); err != nil {
		return nil, fmt.Errorf("scope: %w", err)
	}
	return map[string]any{"app": r.PathValue("id"), "scope": scope}, a.opt.Organisation.ScopeImpersonation(r.PathValue("id"), scope)
}

type tenant struct {
	EWSEnabled  *bool    `json:"ews_enabled"`
	AllowedApps []string `json:"allowed_apps"`
	AgentPolicy string   `json:"agent_policy"`
	Agents      []string `json:"agents"`
}

func (a *API) tenant(http.ResponseWriter, *http.Request) (any, error) {
	p := a.opt.Organisation.EWSPolicy()
	return tenant{p.Enabled, p.AllowedApps, string(p.AgentPolicy), p.Agents}, nil
}

func (a *API) setTenant(w http.ResponseWriter, r *http.Request) (any, error) {
	in, err := body[struct {
		EWSEnabled  tristate       `json:"ews_enabled"`
		AllowedApps []string       `json:"allowed_apps"`
		AgentPolicy string         `json:"agent_policy"`
		Agents      []string       `json:"agents"`
		After       fault.Duration `json:"after"`
		CutStreams  bool           `json:"cut_streams"`
	}](r)
	switch {
	case err != nil:
		return nil, err
	case !in.EWSEnabled.given:
		return nil, errors.New("ews_enabled: missing; true, false or null")
	case in.CutStreams && in.After > 0:
		return nil, errors.New("cut_streams: cuts at once; leave after out")
	}
	if err := a.opt.Organisation.SetEWSPolicy(exchange.EWSPolicy{
		Enabled: in.EWSEnabled.value, AllowedApps: in.AllowedApps, AgentPolicy: exchange.AgentPolicy(in.AgentPolicy), Agents: in.Agents,
	}, time.Duration(in.After)); err != nil {
		return nil, err
	}
	if in.CutStreams {
		a.opt.Organisation.CutStreams("")
	}
	return a.tenant(w, r)
}

func (a *API) budgets(_ http.ResponseWriter, r *http.Request) (any, error) {
	n := 100
	if s := r.URL.Query().Get("mailboxes"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil || n < 0 || n > BudgetMailboxesMax {
			return nil, fmt.Errorf("mailboxes: %q; 0 to %d is allowed", s, BudgetMailboxesMax)
		}
	}
	return a.opt.Organisation.Budgets(n), nil
}

func (a *API) forgetBudgets(w http.ResponseWriter, r *http.Request) (any, error) {
	if err := nothing(r); err != nil {
		return nil, err
	}
	a.opt.Organisation.ForgetViolations()
	return a.budgets(w, r)
}

func (a *API) throttling(_ http.ResponseWriter, r *http.Request) (any, error) {
	in, err := body[struct {
		On tristate `json:"on"`
	}](r)
	if err != nil {
		return nil, err
	}
	if in.On.value == nil {
		return nil, errors.New("on: missing; true or false")
	}
	a.opt.Organisation.SetThrottling(*in.On.value)
	return map[string]bool{"on": *in.On.value}, nil
}
