package config

import (
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// decoder fills structs from YAML nodes, remembers where each field stands and
// collects what is wrong.
//
// A field is named by its path: engine.dir, policy[2].mailboxes[0]. Values are
// not repeated in problems, because a slip of the keyboard puts secrets there.
//
// There are no aliases: each would have to be bounded, and a file this size
// can spell everything out.
type decoder struct {
	places   map[string]place
	problems []Problem
	more     int
}

// place is where a field stands in the file.
type place struct {
	line int
	set  bool // to something else than null
}

func newDecoder() *decoder { return &decoder{places: map[string]place{}} }

// wrong notes what is wrong with a field, or with its absence.
func (d *decoder) wrong(field, format string, args ...any) {
	d.wrongAt(d.line(field), field, format, args...)
}

func (d *decoder) wrongAt(line int, field, format string, args ...any) {
	if len(d.problems) == ProblemsMax {
		d.more++
		return
	}
	d.problems = append(d.problems, Problem{line, field, fmt.Sprintf(format, args...)})
}

// count is the number of problems so far.
func (d *decoder) count() int { return len(d.problems) + d.more }

// line is where a field stands, or the nearest thing around it; 0 when there is
// nothing of it in the file.
func (d *decoder) line(field string) int {
	for field != "" {
		if p, ok := d.places[field]; ok {
			return p.line
		}
		field = field[:max(0, strings.LastIndexAny(field, ".["))]
	}
	return 0
}

// isSet says whether the file gives a field a value.
func (d *decoder) isSet(field string) bool { return d.places[field].set }

// err is all problems in the order of their lines; nil when there are none.
func (d *decoder) err(file string) error {
	if len(d.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(d.problems, func(a, b Problem) int { return a.Line - b.Line })
	return &Error{File: file, Problems: d.problems, More: d.more}
}

// value decodes a node. Null is like nothing at all.
func (d *decoder) value(n *yaml.Node, into reflect.Value, field string) {
	if !d.plain(n, field) || n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	d.places[field] = place{d.line(field), true}
	if into.Kind() == reflect.Pointer {
		into.Set(reflect.New(into.Type().Elem()))
		into = into.Elem()
	}
	switch {
	case into.Kind() == reflect.Struct:
		d.section(n, into, field)
	case into.Kind() == reflect.Slice:
		d.list(n, into, field)
	case into.Kind() == reflect.Map:
		d.dictionary(n, into, field)
	case n.Kind != yaml.ScalarNode:
		d.wrong(field, "want a single value, not a list or section")
	default:
		d.scalar(n, into, field)
	}
}

// plain refuses what a configuration has no use for.
func (d *decoder) plain(n *yaml.Node, field string) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		d.wrongAt(n.Line, field, "an alias is not allowed: write the value out, or put a text that begins with * into quotes")
	case n.Anchor != "":
		d.wrongAt(n.Line, field, "an anchor is not allowed: put a text that begins with & into quotes")
	case n.Style&yaml.TaggedStyle != 0:
		d.wrongAt(n.Line, field, "a tag is not allowed: put a text that begins with ! into quotes")
	default:
		return true
	}
	return false
}

func (d *decoder) scalar(n *yaml.Node, into reflect.Value, field string) {
	switch {
	case into.Type() == reflect.TypeFor[time.Duration]():
		v, err := time.ParseDuration(n.Value)
		if err != nil || v <= 0 {
			d.wrong(field, "want a duration above zero, such as 90s, 30m or 12h")
			return
		}
		into.SetInt(int64(v))
	case into.Kind() == reflect.Bool:
		v, err := strconv.ParseBool(n.Value)
		if err != nil || n.Tag != "!!bool" {
			d.wrong(field, "want true or false")
			return
		}
		into.SetBool(v)
	case into.Kind() == reflect.Int:
		v, err := strconv.Atoi(n.Value)
		if err != nil || n.Tag != "!!int" || v <= 0 {
			d.wrong(field, "want a whole number above zero")
			return
		}
		into.SetInt(int64(v))
	default: // a text as it is written, whatever else it could be
		if strings.ContainsFunc(n.Value, unicode.IsControl) {
			d.wrong(field, "want one line of text without control characters")
			return
		}
		into.SetString(n.Value)
	}
}

func (d *decoder) list(n *yaml.Node, into reflect.Value, field string) {
	if n.Kind != yaml.SequenceNode {
		d.wrong(field, "want a list: entries on lines that begin with a dash, or between [ and ]")
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), len(n.Content), len(n.Content)))
	for i, c := range n.Content {
		entry := fmt.Sprintf("%s[%d]", field, i)
		d.places[entry] = place{line: c.Line}
		d.value(c, into.Index(i), entry)
	}
}

// dictionary is a section whose keys are names that the file chooses.
func (d *decoder) dictionary(n *yaml.Node, into reflect.Value, field string) {
	if n.Kind != yaml.MappingNode {
		d.wrong(field, "want lines of the form name: value")
		return
	}
	into.Set(reflect.MakeMap(into.Type()))
	for key, value := range d.entries(n, field) {
		v := reflect.New(into.Type().Elem()).Elem()
		d.value(value, v, join(field, key))
		into.SetMapIndex(reflect.ValueOf(key), v)
	}
}

func (d *decoder) section(n *yaml.Node, into reflect.Value, field string) {
	keys := keysOf(into.Type())
	if n.Kind != yaml.MappingNode {
		line := n.Line
		if field != "" {
			line = d.line(field)
		}
		d.wrongAt(line, field, "want a section with keys out of: %s", strings.Join(keys, ", "))
		return
	}
	for key, value := range d.entries(n, field) {
		at := slices.Index(keys, key)
		if at < 0 {
			d.wrong(join(field, key), "unknown key%s; allowed here: %s", didYouMean(key, keys), strings.Join(keys, ", "))
			continue
		}
		d.value(value, into.Field(at), join(field, key))
	}
}

// entries are the keys and values of a mapping, each key once, with their places
// noted.
func (d *decoder) entries(n *yaml.Node, field string) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) {
		lines := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if key.Kind != yaml.ScalarNode && key.Kind != yaml.AliasNode {
				d.wrongAt(key.Line, field, "a key has to be a single word")
				continue
			}
			if !d.plain(key, field) {
				continue
			}
			path := join(field, key.Value)
			if first, ok := lines[key.Value]; ok {
				d.wrongAt(key.Line, path, "the key is there already, in line %d", first)
				continue
			}
			lines[key.Value] = key.Line
			d.places[path] = place{line: key.Line}
			if !yield(key.Value, value) {
				return
			}
		}
	}
}

// join is the path of a key. What does not look like a key is not shown.
func join(field, key string) string {
	odd := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-.:*", r))
	}
	if len(key) > keyShownMax || strings.ContainsFunc(key, odd) {
		key = fmt.Sprintf("(%d bytes)", len(key))
	}
	if field == "" {
		return key
	}
	return field + "." + key
}

// keysOf are a section's keys, in the order of its fields.
func keysOf(t reflect.Type) []string {
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i] = t.Field(i).Tag.Get("yaml")
	}
	return keys
}
