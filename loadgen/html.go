package loadgen

import (
	_ "embed"
	"html/template"
	"io"
	"strings"
)

//go:embed report.html.tmpl
var pageText string

var page = template.Must(template.New("report").Parse(pageText))

// HTML writes the report as a page that needs nothing else.
func (r Report) HTML(w io.Writer) error {
	plots, err := r.plots()
	if err != nil {
		return err
	}
	return page.Execute(w, struct {
		Report
		Figures []figure
		Plots   []template.HTML
		Repeat  string
		When    string
	}{r, r.figures(), plots, commandLine(r.Command), r.Started.Format("2006-01-02 15:04 MST")})
}

// commandLine is the command as it can be typed.
func commandLine(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		if a == "" || strings.ContainsAny(a, " \t\n'\"\\$*?;&|<>()`") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		quoted[i] = a
	}
	return strings.Join(quoted, " ")
}
