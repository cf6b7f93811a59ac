package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"mailbell/notifier/app"
)

// Config is a file that was understood.
type Config struct {
	Options app.Options
	Log     Log // with defaults filled in

	closers []func() error
}

// Load reads and checks a configuration file. Names of files in it are
// relative to its own directory. The error is a *Error unless the file itself
// cannot be read.
func Load(path string) (*Config, error) {
	text, err := readFile(path, FileMax)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return parse(path, text, readFile)
}

// AdminAddress is where the instance of a configuration file tells how it is
// doing. Nothing else of the file is checked, and no other file is read.
func AdminAddress(path string) (string, error) {
	text, err := readFile(path, FileMax)
	if err != nil {
		return "", fmt.Errorf("config: %w", err)
	}
	var f File
	root, problem := document(text)
	if problem != nil {
		return "", &Error{File: path, Problems: []Problem{*problem}}
	}
	if root != nil {
		newDecoder().value(root, reflect.ValueOf(&f).Elem(), "")
	}
	if f.Admin.Listen == "" {
		return "", fmt.Errorf("config: %s: admin.listen: missing: the instance tells nobody how it is doing; set it to 127.0.0.1:port and restart", path)
	}
	return f.Admin.Listen, nil
}

// Close releases what the options hold, once the instance has stopped. Closing
// again does nothing.
func (c *Config) Close() error {
	var errs []error
	for _, f := range slices.Backward(c.closers) {
		errs = append(errs, f())
	}
	c.closers = nil
	return errors.Join(errs...)
}

// Logger is the logger that the section log asks for.
func (c *Config) Logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Log.Level)) // checked when the file was read
	o := &slog.HandlerOptions{Level: level}
	if c.Log.Format == "text" {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

// parse understands the text of a file. The files that it names are read with
// read.
func parse(path string, text []byte, read readFunc) (*Config, error) {
	root, problem := document(text)
	if problem != nil {
		return nil, &Error{File: path, Problems: []Problem{*problem}}
	}
	var f File
	d := newDecoder()
	if root != nil {
		d.value(root, reflect.ValueOf(&f).Elem(), "")
	}
	b := &builder{decoder: d, dir: filepath.Dir(path), read: read}
	c := b.build(f)
	if err := d.err(path); err != nil {
		_ = c.Close() // nothing of it was used
		return nil, err
	}
	return c, nil
}

// document is the one YAML document of a file; nil when the file is empty.
func document(text []byte) (*yaml.Node, *Problem) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, next yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, malformed(err)
	}
	switch err := dec.Decode(&next); {
	case err == nil:
		return nil, &Problem{Line: next.Line, Text: "a second document (---) begins here; one is allowed"}
	case !errors.Is(err, io.EOF):
		return nil, malformed(err)
	}
	return doc.Content[0], nil
}

// malformed tells what the YAML parser says. Its messages repeat nothing of
// the file, save for the name of an anchor that is not there.
func malformed(err error) *Problem {
	p := &Problem{Text: strings.TrimPrefix(err.Error(), "yaml: ")}
	if rest, ok := strings.CutPrefix(p.Text, "line "); ok {
		number, text, _ := strings.Cut(rest, ": ")
		p.Line, _ = strconv.Atoi(number)
		p.Text = text
	}
	var hint string
	switch {
	case strings.Contains(p.Text, "unknown anchor"):
		p.Text, hint = "an alias without its anchor", "put a text that begins with a star into quotes"
	case strings.Contains(p.Text, "alphabetic or numeric"), strings.Contains(p.Text, "start any token"):
		hint = "put a text that begins with one of * & ! % @ ` into quotes"
	case strings.Contains(p.Text, "escape"):
		hint = `between double quotes \ is special; use single quotes, or none, for C:\... and DOMAIN\user`
	case strings.Contains(p.Text, "tab"):
		hint = "indent with spaces"
	default:
		hint = "look at indentation, colons and quotes there and just above"
	}
	p.Text = fmt.Sprintf("not YAML: %s; %s", p.Text, hint)
	return p
}

// readFunc reads a file of at most most bytes.
type readFunc func(path string, most int64) ([]byte, error)

func readFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > most {
		return nil, &os.PathError{Op: "read", Path: path, Err: fmt.Errorf("more than %d bytes", most)}
	}
	return text, nil
}
