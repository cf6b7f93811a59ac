package config

import (
	"reflect"
	"strings"
	"unicode/utf8"
)

const exampleHead = `# Mailbell
#
# Names of files are relative to the directory of this file. Secrets stand in files of their own.
# Durations are written 90s, 30m or 12h. A key behind a # may be left out: its value is the default,
# where there is one, or an example. To use it, remove the #.
#
# Check this file with: notifier config check --config FILE
`

// Layout of the example.
const (
	exampleWidth  = 100 // columns of a line, if its value allows
	exampleColumn = 42  // where comments behind a key begin
)

// Example is a configuration file with every key, made from [File]: what every
// installation has to choose is set, everything else is a comment.
func Example() string {
	var b strings.Builder
	b.WriteString(exampleHead)
	t := reflect.TypeFor[File]()
	for i := range t.NumField() {
		f := t.Field(i)
		b.WriteByte('\n')
		prose(&b, "", f.Tag.Get("doc"))
		exampleKey(&b, "", f, false)
	}
	return b.String()
}

// exampleKeys writes the keys of a section. Each line begins with lead, the first
// one with first.
func exampleKeys(b *strings.Builder, first, lead string, t reflect.Type) {
	for i := range t.NumField() {
		exampleKey(b, first, t.Field(i), true)
		first = lead
	}
}

// exampleKey writes one key with what belongs to it. In a lead that has a #
// everything is a comment already.
func exampleKey(b *strings.Builder, lead string, f reflect.StructField, withDoc bool) {
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	list := t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct
	if list {
		t = t.Elem()
	}
	text, mark := f.Tag.Get("yaml")+":", ""
	if !isSet(f) && !strings.Contains(lead, "#") {
		mark = "#"
	}
	for _, tag := range []string{"set", "default", "sample"} {
		if value, ok := f.Tag.Lookup(tag); ok {
			text += " " + value
		}
	}
	doc := f.Tag.Get("doc")
	if !withDoc {
		doc = ""
	}
	commented(b, lead, mark+text, doc)
	lead = strings.ReplaceAll(lead, "-", " ") + mark
	switch {
	case list:
		exampleKeys(b, lead+"  - ", lead+"    ", t)
	case t.Kind() == reflect.Struct:
		exampleKeys(b, lead+"  ", lead+"  ", t)
	}
}

// isSet says whether the example sets the key, or one below it.
func isSet(f reflect.StructField) bool {
	if _, ok := f.Tag.Lookup("set"); ok {
		return true
	}
	t := f.Type
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		if isSet(t.Field(i)) {
			return true
		}
	}
	return false
}

// commented writes a line with its comment: behind it where it fits, else above.
func commented(b *strings.Builder, lead, text, doc string) {
	line := lead + text
	pad := max(exampleColumn-utf8.RuneCountInString(line), 2)
	switch {
	case doc == "":
	case utf8.RuneCountInString(line+doc)+pad+len("# ") <= exampleWidth:
		line += strings.Repeat(" ", pad) + "# " + doc
	default:
		prose(b, strings.ReplaceAll(lead, "-", " "), doc)
	}
	b.WriteString(line + "\n")
}

// prose writes a comment of as many lines as it takes.
func prose(b *strings.Builder, lead, doc string) {
	line := lead + "#"
	for _, word := range strings.Fields(doc) {
		if utf8.RuneCountInString(line+" "+word) > exampleWidth {
			b.WriteString(line + "\n")
			line = lead + "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}
