package loadgen

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

// Measures of a flame graph, in pixels.
const (
	flameWidth  = 1400
	flameRow    = 17
	flameTop    = 40
	flameLetter = 6.5 // of its text
	flameLeast  = 0.5 // narrower frames are left out
	flameDeep   = 100 // rows at most; a stack may be deeper
)

// frame is a function where it was called from.
type frame struct {
	name  string
	value int64 // ns, its callees included
	calls map[string]*frame
}

func (f *frame) call(name string) *frame {
	c := f.calls[name]
	if c == nil {
		c = &frame{name: name, calls: map[string]*frame{}}
		f.calls[name] = c
	}
	return c
}

// flame draws a CPU profile: a row is a call deeper than the row above it, and
// the width of a frame is its share of the CPU time.
func flame(w io.Writer, title string, p *profile.Profile) error {
	root := &frame{name: title, calls: map[string]*frame{}}
	for _, s := range p.Sample {
		v := s.Value[len(s.Value)-1]
		root.value += v
		at := root
		for _, l := range slices.Backward(s.Location) {
			for _, line := range slices.Backward(l.Line) {
				if line.Function == nil {
					continue
				}
				at = at.call(line.Function.Name)
				at.value += v
			}
		}
	}
	if root.value == 0 {
		return fmt.Errorf("%s: no CPU time in it", title)
	}
	var frames bytes.Buffer
	rows := drawFrames(&frames, root, root.value, 0, 0)
	height := flameTop + rows*flameRow + 10
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="monospace" font-size="11">
<rect width="100%%" height="100%%" fill="#fff"/>
<text x="10" y="17" font-size="14">%s: %.2f s of CPU time in %.1f s</text>
<text x="10" y="33">%s</text>
%s</svg>
`, flameWidth, height, html.EscapeString(title), time.Duration(root.value).Seconds(), time.Duration(p.DurationNanos).Seconds(), legend(), frames.Bytes())
	return err
}

// drawFrames draws what a frame called, the most expensive first, and returns the
// number of rows.
func drawFrames(w io.Writer, f *frame, all int64, x float64, row int) (rows int) {
	if row == flameDeep {
		return row
	}
	rows = row
	for _, c := range slices.SortedFunc(maps.Values(f.calls), func(a, b *frame) int {
		return cmp.Or(cmp.Compare(b.value, a.value), cmp.Compare(a.name, b.name))
	}) {
		width := float64(c.value) / float64(all) * flameWidth
		if width < flameLeast {
			break
		}
		y := flameTop + row*flameRow
		name := html.EscapeString(c.name)
		fmt.Fprintf(w, `<g><title>%s: %.1f %%</title><rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s" stroke="#fff" stroke-width="0.5"/>`,
			name, 100*float64(c.value)/float64(all), x, y, width, flameRow-1, colour(c.name))
		if letters := int(width/flameLetter) - 1; letters >= 3 {
			fmt.Fprintf(w, `<text x="%.1f" y="%d">%s</text>`, x+3, y+12, html.EscapeString(shortName(c.name, letters)))
		}
		fmt.Fprint(w, "</g>\n")
		rows = max(rows, drawFrames(w, c, all, x, row+1))
		x += width
	}
	return rows
}

// shortName is a function without the path of its package, cut to so many letters.
func shortName(name string, letters int) string {
	name = name[strings.LastIndexByte(name, '/')+1:]
	return strings.ToValidUTF8(name[:min(len(name), letters)], "")
}

// Colours of packages by the beginning of their names; the first that fits.
var colours = []struct{ begins, colour, what string }{
	{"mailbell/", "#8fc1ea", "Mailbell"},
	{"github.com/nats-io/", "#a5d9a0", "NATS"},
	{"crypto", "#f2c28b", "TLS, NTLM and HTTP"},
	{"net", "#f2c28b", ""},
	{"golang.org/x/net/", "#f2c28b", ""},
	{"github.com/Azure/", "#f2c28b", ""},
	{"github.com/sideshow/", "#f2c28b", ""},
	{"runtime", "#d0d0d0", "the Go runtime and the system"},
	{"internal/", "#d0d0d0", ""},
	{"syscall", "#d0d0d0", ""},
	{"", "#e8dc9c", "others"},
}

func colour(name string) string {
	for _, c := range colours {
		if strings.HasPrefix(name, c.begins) {
			return c.colour
		}
	}
	return ""
}

func legend() string {
	var out strings.Builder
	for _, c := range colours {
		if c.what != "" {
			fmt.Fprintf(&out, `<tspan fill="%s">■</tspan> %s   `, c.colour, c.what)
		}
	}
	return out.String()
}

// drawProfile draws a profile that was kept into a file beside it.
func drawProfile(from, to, title string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	p, err := profile.ParseData(text)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	var picture bytes.Buffer
	if err := flame(&picture, title, p); err != nil {
		return err
	}
	return os.WriteFile(to, picture.Bytes(), 0o644)
}
