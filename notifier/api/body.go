package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// readBody reads a JSON body of bounded size.
func (a *API) readBody(w http.ResponseWriter, r *http.Request) ([]byte, *problem) {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return nil, unsupportedMedia.with("send Content-Type: application/json, in UTF-8")
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, unsupportedMedia.with("send the body without Content-Encoding")
	}
	most := a.opt.Limits.BodyBytesMax
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return nil, bodyTooLarge.with(fmt.Sprintf("a registration has at most %d bytes", most))
	}
	switch {
	case err != nil:
		return nil, malformedBody.with("the body broke off")
	case len(bytes.TrimSpace(body)) == 0:
		return nil, malformedBody.with("the body is empty; send a registration")
	case !utf8.Valid(body):
		return nil, malformedBody.with("the body is not UTF-8")
	}
	return body, nil
}

// object reads a JSON object whose members are all among the known ones, each
// at most once and spelled exactly so. What is wrong with a member goes to the
// complaints, under its path.
func object(text []byte, path string, c *complaints, known ...string) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil {
		return nil, syntax(err)
	} else if t != json.Delim('{') {
		return nil, errors.New("want a JSON object")
	}
	members := map[string]json.RawMessage{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, syntax(err)
		}
		name, _ := t.(string) // the decoder gives nothing else here
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, syntax(err)
		}
		_, twice := members[name]
		switch {
		case !slices.Contains(known, name):
			c.add(path+printable(name), "not known; allowed are "+strings.Join(known, ", "))
		case twice:
			c.add(path+name, "given twice")
		default:
			members[name] = value
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, syntax(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON object")
	}
	return members, nil
}

// syntax says where JSON is wrong, without quoting it.
func syntax(err error) error {
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("not valid JSON near byte %d", s.Offset)
	}
	return errors.New("not valid JSON: it ends too early")
}

// nameLenMax bounds an unknown member's name when it is told back.
const nameLenMax = 64

func printable(name string) string {
	name = strings.ToValidUTF8(name[:min(len(name), nameLenMax)], "")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, name)
}

// complaints collects what is wrong with the fields of a request.
type complaints struct{ list []fieldProblem }

func (c *complaints) add(field, detail string) {
	const most = 20
	if len(c.list) < most {
		c.list = append(c.list, fieldProblem{field, detail})
	}
}

// text reads a member that has to be a string.
func (c *complaints) text(members map[string]json.RawMessage, path, name string, needed bool) string {
	raw, given := members[name]
	if !given || string(raw) == "null" {
		if needed {
			c.add(path+name, "missing")
		}
		return ""
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		c.add(path+name, "want a string")
		return ""
	}
	if s == "" && needed {
		c.add(path+name, "empty")
	}
	return s
}

// truth reads a member that has to be true or false; false when absent.
func (c *complaints) truth(members map[string]json.RawMessage, path, name string) bool {
	raw, given := members[name]
	if !given {
		return false
	}
	var b bool
	if json.Unmarshal(raw, &b) != nil {
		c.add(path+name, "want true or false")
	}
	return b
}
