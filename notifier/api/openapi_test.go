package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/registry"
)

// document is the part of OpenAPI 3.1 that the service's document uses.
type document struct {
	Paths      map[string]map[string]json.RawMessage
	Components struct{ Schemas map[string]schema }
}

type operation struct {
	OperationID string `json:"operationId"`
	Security    *[]any
	RequestBody struct {
		Content map[string]struct{ Schema schema }
	} `json:"requestBody"`
	Responses map[string]struct {
		Headers map[string]any
		Content map[string]struct{ Schema schema }
	}
}

// schema is the part of JSON Schema that the document uses.
type schema struct {
	Ref        string `json:"$ref"`
	Type       string
	Properties map[string]schema
	Required   []string
	Additional *bool `json:"additionalProperties"`
	Enum       []any
	Const      any
	Items      *schema
	Pattern    string
	Format     string
	MaxLength  *int `json:"maxLength"`
	OneOf      []schema
}

func readDocument(t *testing.T) document {
	t.Helper()
	var doc document
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// check says what of the value the schema does not allow.
func (doc document) check(s schema, v any, path string) error {
	if s.Ref != "" {
		name := strings.TrimPrefix(s.Ref, "#/components/schemas/")
		target, ok := doc.Components.Schemas[name]
		if !ok {
			return fmt.Errorf("%s: no schema %s", path, s.Ref)
		}
		return doc.check(target, v, path)
	}
	if s.Const != nil && s.Const != v || s.Enum != nil && !slices.Contains(s.Enum, v) {
		return fmt.Errorf("%s: %v is not among the values", path, v)
	}
	fits := 0
	for _, one := range s.OneOf {
		if doc.check(one, v, path) == nil {
			fits++
		}
	}
	if len(s.OneOf) > 0 && fits != 1 {
		return fmt.Errorf("%s: fits %d of the alternatives", path, fits)
	}
	switch v := v.(type) {
	case map[string]any:
		return doc.checkObject(s, v, path)
	case []any:
		for i, item := range v {
			if s.Items == nil {
				return fmt.Errorf("%s: is an array", path)
			}
			if err := doc.check(*s.Items, item, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case string:
		return s.checkText(v, path)
	case float64:
		if s.Type != "integer" {
			return fmt.Errorf("%s: is a number", path)
		}
	case bool:
		if s.Type != "boolean" {
			return fmt.Errorf("%s: is %v", path, v)
		}
	}
	return nil
}

func (doc document) checkObject(s schema, v map[string]any, path string) error {
	for _, name := range s.Required {
		if _, ok := v[name]; !ok {
			return fmt.Errorf("%s: %s is missing", path, name)
		}
	}
	for name, value := range v {
		p, known := s.Properties[name]
		switch {
		case !known && s.Additional != nil && !*s.Additional:
			return fmt.Errorf("%s: %s is not documented", path, name)
		case known:
			if err := doc.check(p, value, path+"."+name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s schema) checkText(v, path string) error {
	switch {
	case s.Type != "" && s.Type != "string":
		return fmt.Errorf("%s: is text", path)
	case s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(v):
		return fmt.Errorf("%s: %q does not match", path, v)
	case s.MaxLength != nil && len(v) > *s.MaxLength:
		return fmt.Errorf("%s: is too long", path)
	}
	if s.Format == "date-time" {
		if _, err := time.Parse(time.RFC3339Nano, v); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// operations are those of the document, by "METHOD path".
func (doc document) operations(t *testing.T) map[string]operation {
	t.Helper()
	out := map[string]operation{}
	for path, methods := range doc.Paths {
		for method, raw := range methods {
			if method == "parameters" {
				continue
			}
			var o operation
			if err := json.Unmarshal(raw, &o); err != nil {
				t.Fatal(err)
			}
			out[strings.ToUpper(method)+" "+path] = o
		}
	}
	return out
}

func TestEveryDocumentedAnswerOccursAndIsAsDocumented(t *testing.T) {
	doc := readDocument(t)
	operations := doc.operations(t)
	const device, notifications = "/v1/devices/{id}", "/v1/devices/{id}/notifications"
	foreign := func(d *desk) string { return d.deviceOf("other", "ada@contoso.test") }
	own := func(d *desk) string { return d.credential(nil) }
	nobody := func(*desk) string { return "" }
	away := func(d *desk) { d.store.err = errors.New("away") }
	busy := func(d *desk) { d.opt.Limits = Limits{RateBurst: 1, RatePerSecond: 0.001} }
	registered := func(d *desk) { d.register("phone", "ada@contoso.test") }

	occurred := map[string]bool{}
	for _, c := range []struct {
		operation  string
		status     int
		path       string // "" is the operation's, for the device phone
		options    func(*desk)
		before     func(*desk)
		credential func(*desk) string
		body       any
		headers    []string
	}{
		{operation: "PUT " + device, status: 201, body: iphone()},
		{operation: "PUT " + device, status: 201, body: windows()},
		{operation: "PUT " + device, status: 200, before: registered, body: windows()},
		{operation: "PUT " + device, status: 400, body: members{"platform": "x"}},
		{operation: "PUT " + device, status: 401, credential: nobody, body: iphone()},
		{operation: "PUT " + device, status: 403, credential: foreign, body: iphone()},
		{operation: "PUT " + device, status: 409, options: func(d *desk) { d.opt.Limits.DevicesPerMailboxMax = 1 }, before: func(d *desk) { d.register("other", "ada@contoso.test") }, body: iphone()},
		{operation: "PUT " + device, status: 413, body: strings.Repeat(" ", 20_000) + "{}"},
		{operation: "PUT " + device, status: 415, body: "{}", headers: []string{"Content-Type", "text/plain"}},
		{operation: "PUT " + device, status: 429, options: busy, before: registered, body: iphone()},
		{operation: "PUT " + device, status: 503, before: away, body: iphone()},

		{operation: "GET " + device, status: 200, before: registered},
		{operation: "GET " + device, status: 400, path: "/v1/devices/a%20b"},
		{operation: "GET " + device, status: 401, credential: nobody},
		{operation: "GET " + device, status: 403, credential: foreign},
		{operation: "GET " + device, status: 404},
		{operation: "GET " + device, status: 429, options: busy, before: registered},
		{operation: "GET " + device, status: 503, before: away},

		{operation: "DELETE " + device, status: 204, before: registered},
		{operation: "DELETE " + device, status: 400, path: "/v1/devices/a%20b"},
		{operation: "DELETE " + device, status: 401, credential: nobody},
		{operation: "DELETE " + device, status: 403, credential: foreign},
		{operation: "DELETE " + device, status: 429, options: busy, before: registered},
		{operation: "DELETE " + device, status: 503, before: away},

		{operation: "GET " + notifications, status: 200, before: func(d *desk) {
			for _, v := range []notifier.Verdict{notifier.Delivered, notifier.Drop, notifier.Forget} {
				_ = d.ledger.Append(t.Context(), notifier.Receipt{Push: "p", Notification: "n", Device: "phone", Mailbox: "ada@contoso.test", Item: "i", Verdict: v, Reason: "x", Status: 200, ProviderID: "y", Attempt: 2, Noticed: time.Now(), At: time.Now()})
			}
		}},
		{operation: "GET " + notifications, status: 400, path: "/v1/devices/phone/notifications?limit=x"},
		{operation: "GET " + notifications, status: 401, credential: nobody},
		{operation: "GET " + notifications, status: 403, credential: foreign},
		{operation: "GET " + notifications, status: 429, options: busy, before: registered},
		{operation: "GET " + notifications, status: 503, before: func(d *desk) { _ = d.ledger.Close() }},

		{operation: "GET /v1/openapi.json", status: 200, credential: nobody},
		{operation: "GET /healthz", status: 200, credential: nobody},
		{operation: "GET /healthz", status: 503, credential: nobody, before: func(d *desk) {
			d.opt.View = registry.NewView(d.store, nil)
			a, err := New(d.opt)
			if err != nil {
				t.Fatal(err)
			}
			d.handler = a.Handler()
		}},
	} {
		t.Run(fmt.Sprint(c.operation, " ", c.status), func(t *testing.T) {
			bubble(t, c.options, func(d *desk) {
				if c.before != nil {
					c.before(d)
				}
				if c.credential == nil {
					c.credential = own
					if strings.Contains(c.path, "%20") {
						c.credential = (*desk).admin
					}
				}
				method, path, _ := strings.Cut(c.operation, " ")
				if path = strings.ReplaceAll(path, "{id}", "phone"); c.path != "" {
					path = c.path
				}
				o := operations[c.operation]
				a := d.do(method, path, c.credential(d), c.body, c.headers...)
				documented, ok := o.Responses[fmt.Sprint(a.status)]
				if a.status != c.status || !ok {
					t.Fatalf("%d, want %d; documented: %v", a.status, c.status, ok)
				}
				occurred[fmt.Sprint(c.operation, " ", c.status)] = true
				for name := range documented.Headers {
					if a.header.Get(name) == "" {
						t.Errorf("header %s is documented and missing", name)
					}
				}
				if a.status == http.StatusNoContent {
					return
				}
				content, ok := documented.Content[a.header.Get("Content-Type")]
				if !ok {
					t.Fatalf("Content-Type %s is not documented", a.header.Get("Content-Type"))
				}
				var v any
				if err := json.Unmarshal(a.body, &v); err != nil {
					t.Fatal(err)
				}
				if err := doc.check(content.Schema, v, "body"); err != nil {
					t.Error(err)
				}
				if c.body != nil && a.status < 300 {
					checkRequest(t, doc, o, c.body)
				}
			})
		})
	}
	for name, o := range operations {
		if o.OperationID == "" {
			t.Errorf("%s has no operationId", name)
		}
		if open := o.Security != nil && len(*o.Security) == 0; open != (o.Responses["401"].Content == nil) {
			t.Errorf("%s: its security and its answer 401 contradict each other", name)
		}
		for status := range o.Responses {
			if !occurred[name+" "+status] {
				t.Errorf("%s: answer %s is documented and was not seen", name, status)
			}
		}
	}
}

// checkRequest looks whether what the handler took is what the document says.
func checkRequest(t *testing.T, doc document, o operation, body any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if err := doc.check(o.RequestBody.Content["application/json"].Schema, v, "request"); err != nil {
		t.Error(err)
	}
}

func TestTheDocumentNamesEveryFieldTheHandlerTakes(t *testing.T) {
	s := readDocument(t).Components.Schemas["Registration"]
	names := func(s schema) string {
		var out []string
		for n := range s.Properties {
			out = append(out, n)
		}
		slices.Sort(out)
		return strings.Join(out, ", ")
	}
	bubble(t, nil, func(d *desk) {
		body := iphone()
		body["?"] = 1
		body["apns"].(members)["?"] = 1
		a := d.do("PUT", "/v1/devices/phone", d.credential(nil), body)
		win := windows()
		win["wns"].(members)["?"] = 1
		b := d.do("PUT", "/v1/devices/phone", d.credential(nil), win)
		for i, c := range []struct {
			p problem
			s schema
		}{{a.problem, s}, {problem{Errors: a.problem.Errors[1:]}, s.Properties["apns"]}, {b.problem, s.Properties["wns"]}} {
			_, listed, _ := strings.Cut(c.p.Errors[0].Detail, "allowed are ")
			told := strings.Split(listed, ", ")
			slices.Sort(told)
			if got := strings.Join(told, ", "); got != names(c.s) {
				t.Errorf("%d: takes %s, documented are %s", i, got, names(c.s))
			}
		}
	})
}

func TestTheDocumentIsServedAsItIs(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		a := d.do("GET", "/v1/openapi.json", "", nil)
		if a.status != 200 || string(a.body) != string(openAPI) {
			t.Errorf("%d, %d bytes", a.status, len(a.body))
		}
	})
	for _, word := range []string{"EdDSA", "ES256", scopeDevice, scopeAdmin, "mailbox", "exp"} {
		if !strings.Contains(string(openAPI), word) {
			t.Errorf("the document does not mention %s", word)
		}
	}
}
