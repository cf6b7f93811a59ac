package control_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// said answers a call that has to be taken, as JSON.
func said(t testing.TB, method, url, body string) map[string]any {
	t.Helper()
	status, _, text := ask(t, method, url, body, nil)
	if status != 200 {
		t.Fatalf("%s %s %s: %d %s", method, url, body, status, text)
	}
	out := map[string]any{}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out
}

func TestAnAdministratorsDayByTheControlAPI(t *testing.T) {
	_, base := world(t)
	const ada = "/mailboxes/ada@contoso.test"
	made := said(t, "POST", base+"/mailboxes", `{"address":"ada@contoso.test","aliases":["countess@contoso.test"],"server":"ex01"}`)
	if made["server"] != "ex01" || fmt.Sprint(made["aliases"]) != "[countess@contoso.test]" {
		t.Errorf("made %v", made)
	}
	if got := said(t, "POST", base+ada+"/rename", `{"to":"lovelace@contoso.test"}`); got["address"] != "lovelace@contoso.test" {
		t.Errorf("renamed %v", got)
	}
	// The old address leads to it from now on.
	said(t, "POST", base+ada+"/rules", `{"subject_contains":"spam","move_to":"junkemail"}`)
	said(t, "POST", base+"/mail", `{"to":["ada@contoso.test"],"from":"Eve <eve@example.org>","subject":"spam","body":"x"}`)
	said(t, "POST", base+"/mail", `{"to":["ada@contoso.test"],"from":"Eve <eve@example.org>","subject":"ham","body":"x"}`)
	folders := map[string]float64{}
	for _, f := range said(t, "GET", base+ada, "")["folders"].([]any) {
		f := f.(map[string]any)
		folders[f["name"].(string)] = f["total"].(float64)
	}
	if folders["inbox"] != 1 || folders["junkemail"] != 1 {
		t.Errorf("folders %v", folders)
	}
	if got := said(t, "POST", base+ada+"/move", `{"server":"ex02"}`); got == nil {
		t.Error("not moved")
	}
	database := said(t, "GET", base+ada, "")["database"].(string)
	if got := said(t, "POST", base+"/databases/"+database+"/failover", `{"to":"ex01"}`); got["server"] != "ex01" {
		t.Errorf("failed over %v", got)
	}
	if got := said(t, "GET", base+ada, "")["server"]; got != "ex01" {
		t.Errorf("it lives on %v", got)
	}
	said(t, "POST", base+ada+"/disable", "")
	if got := said(t, "GET", base+ada, ""); got["unavailable"] != "ErrorAccountDisabled" {
		t.Errorf("disabled %v", got)
	}
	said(t, "POST", base+ada+"/enable", "")

	if got := said(t, "POST", base+"/accounts/svc-mailbell/impersonation", `{"granted":true,"scope":["@contoso.test"]}`); got["limited"] != true {
		t.Errorf("scope %v", got)
	}
	if got := said(t, "POST", base+"/accounts/svc-mailbell/lock", ""); got["locked"] != true {
		t.Errorf("locked %v", got)
	}
	if got := said(t, "POST", base+"/tenant", `{"ews_enabled":false}`); got["ews_enabled"] != false {
		t.Errorf("tenant %v", got)
	}
	if got := said(t, "GET", base+"/budgets", ""); got["throttling"] != true || got["violations"] != 0.0 {
		t.Errorf("budgets %v", got)
	}
	said(t, "POST", base+ada+"/delete", "")
	if status, _, _ := ask(t, "GET", base+ada, "", nil); status != 404 {
		t.Errorf("deleted, and answers %d", status)
	}

	said(t, "POST", base+"/reset", "")
	if got := said(t, "GET", base+"/tenant", ""); got["ews_enabled"] != nil {
		t.Errorf("after the reset: tenant %v", got)
	}
	for _, a := range said(t, "GET", base+"/accounts", "")["accounts"].([]any) {
		if a := a.(map[string]any); a["locked"] != false || a["limited"] != false {
			t.Errorf("after the reset: account %v", a)
		}
	}
}

func TestVerbsOfTheOrganisationRefuseWhatTheyCannotMean(t *testing.T) {
	_, base := world(t)
	const mailbox = "/mailboxes/user00001@contoso.test"
	for _, c := range []struct {
		name, path, body string
		status           int
		says             string
	}{
		{"a mailbox that is not there", "/mailboxes/nobody@contoso.test/disable", "", 404, "nobody@contoso.test"},
		{"a mailbox without an address", "/mailboxes", `{}`, 400, "local@domain"},
		{"a mailbox on no server", "/mailboxes", `{"address":"x@contoso.test","server":"ex09"}`, 404, "ex01"},
		{"an address that is taken", mailbox + "/rename", `{"to":"user00002@contoso.test"}`, 400, "taken"},
		{"a body nobody asked for", mailbox + "/disable", `{"why":"x"}`, 400, "why"},
		{"both alias verbs", mailbox + "/alias", `{"add":"a@contoso.test","remove":"b@contoso.test"}`, 400, "add"},
		{"an alias that is none", mailbox + "/alias", `{"remove":"b@contoso.test"}`, 404, "b@contoso.test"},
		{"EWS without a word", mailbox + "/ews", `{}`, 400, "true, false or null"},
		{"a rule without action", mailbox + "/rules", `{"subject_contains":"x"}`, 400, "action"},
		{"an item that is not there", mailbox + "/items/delete", `{"item":"x"}`, 400, "ErrorItemNotFound"},
		{"a folder that is not there", mailbox + "/items", `{"folder":"nowhere","subject":"x"}`, 400, "nowhere"},
		{"a server that is not there", "/servers/ex09/failover", `{}`, 404, "ex01"},
		{"a database that is not there", "/databases/x/failover", `{}`, 404, "db01"},
		{"an account that is not there", "/accounts/nobody/lock", "", 404, "svc-mailbell"},
		{"an empty password", "/accounts/svc-mailbell/password", `{"password":""}`, 400, "password"},
		{"a scope without the right", "/accounts/svc-mailbell/impersonation", `{"granted":false,"scope":["@x.test"]}`, 400, "scope"},
		{"apps on premises", "/tenant", `{"ews_enabled":true,"allowed_apps":["a"]}`, 400, "Online"},
		{"an agent policy", "/tenant", `{"ews_enabled":null,"agent_policy":"maybe"}`, 400, "allow, block"},
		{"throttling without a word", "/throttling", `{}`, 400, "on"},
		{"a fault that nobody knows", "/faults", `{"name":"ews.bussy"}`, 400, "ews.busy"},
	} {
		status, _, text := ask(t, "POST", base+c.path, c.body, nil)
		var e struct{ Error string }
		if err := json.Unmarshal([]byte(text), &e); err != nil || status != c.status || !strings.Contains(e.Error, c.says) {
			t.Errorf("%s: %d %s; want %d and %q", c.name, status, text, c.status, c.says)
		}
	}
}
