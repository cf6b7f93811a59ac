package loadgen

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Size of a plot, in points.
const (
	plotWidth  = 320
	plotHeight = 170
)

// curve is a line of a plot.
type curve struct {
	name   string
	color  color.Color
	points plotter.XYs
}

// Colours that stay apart for the colour-blind (Okabe and Ito).
var (
	blue   = color.NRGBA{0x00, 0x72, 0xb2, 0xff}
	orange = color.NRGBA{0xe6, 0x9f, 0x00, 0xff}
	grey   = color.NRGBA{0xa0, 0xa0, 0xa0, 0xff}
	pale   = color.NRGBA{0xe6, 0xe6, 0xe6, 0xff}
)

// plots are the plots of a report, as SVG.
func (r Report) plots() ([]template.HTML, error) {
	var cdf plotter.XYs
	for _, p := range r.Series.CDF {
		cdf = append(cdf, plotter.XY{X: max(p.MS, 0.001), Y: 100 * p.Share})
	}
	var p50, p99, most, planned, accepted plotter.XYs
	for _, s := range r.Series.Seconds {
		x := float64(s.At)
		if s.Max > 0 {
			p50 = append(p50, plotter.XY{X: x, Y: s.P50})
			p99 = append(p99, plotter.XY{X: x, Y: s.P99})
			most = append(most, plotter.XY{X: x, Y: s.Max})
		}
		planned = append(planned, plotter.XY{X: x, Y: float64(s.Mails)})
		accepted = append(accepted, plotter.XY{X: x, Y: float64(s.Accepted)})
	}
	var cpu, fakesCPU, ownCPU, mem, fakesMem plotter.XYs
	for _, s := range r.Series.Samples {
		cpu = append(cpu, plotter.XY{X: s.At, Y: 100 * s.NotifierCPU})
		fakesCPU = append(fakesCPU, plotter.XY{X: s.At, Y: 100 * s.FakesCPU})
		ownCPU = append(ownCPU, plotter.XY{X: s.At, Y: 100 * s.LoadgenCPU})
		mem = append(mem, plotter.XY{X: s.At, Y: s.NotifierMB})
		fakesMem = append(fakesMem, plotter.XY{X: s.At, Y: s.FakesMB})
	}
	var out []template.HTML
	for _, p := range []struct {
		title, x   string
		logX, logY bool
		curves     []curve
	}{
		{"Pushes within a latency (%)", "ms", true, false, []curve{{"", blue, cdf}}},
		{"Latency by planned arrival (ms)", "s", false, true, []curve{{"max", grey, most}, {"p99", orange, p99}, {"p50", blue, p50}}},
		{"Per second", "s", false, false, []curve{{"mails planned", grey, planned}, {"pushes accepted", blue, accepted}}},
		{"CPU (% of a core)", "s", false, false, []curve{{"load generator", grey, ownCPU}, {"fakes", orange, fakesCPU}, {"notifier", blue, cpu}}},
		{"Resident memory (MiB)", "s", false, false, []curve{{"fakes", orange, fakesMem}, {"notifier", blue, mem}}},
	} {
		svg, err := drawn(p.title, p.x, p.logX, p.logY, p.curves)
		if err != nil {
			return nil, fmt.Errorf("plot %q: %w", p.title, err)
		}
		out = append(out, svg)
	}
	return out, nil
}

// drawn is one plot. Curves without points are left out.
func drawn(title, x string, logX, logY bool, curves []curve) (template.HTML, error) {
	p := plot.New()
	sans := font.Font{Typeface: "Liberation", Variant: "Sans"}
	small := font.From(sans, 8)
	p.Title.Text, p.Title.TextStyle.Font, p.Title.Padding = title, font.From(sans, 10), 4
	p.X.Label.Text, p.X.Label.TextStyle.Font = x, small
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Tick.Label.Font, a.Padding, a.LineStyle.Color, a.Tick.LineStyle.Color = small, 0, grey, grey
	}
	p.Legend.TextStyle.Font, p.Legend.Top, p.Legend.ThumbnailWidth = small, true, 12
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = pale, pale
	p.Add(grid)
	lines := 0
	for _, c := range curves {
		if len(c.points) == 0 {
			continue
		}
		l, err := plotter.NewLine(c.points)
		if err != nil {
			return "", err
		}
		l.Color, l.Width = c.color, 1.2
		p.Add(l)
		if c.name != "" {
			p.Legend.Add(c.name, l)
		}
		lines++
	}
	switch {
	case lines == 0: // axes of nothing
		p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1
		logX, logY = false, false
	default:
		p.Y.Max *= 1.15 // room for the legend
		if !logY {
			p.Y.Min = 0
			p.Y.Max = max(p.Y.Max, 1)
		}
	}
	if logX {
		logarithmic(&p.X)
		p.Y.Max = 100
	}
	if logY {
		logarithmic(&p.Y)
	}
	c := vgsvg.New(plotWidth, plotHeight)
	p.Draw(draw.New(c))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return "", err
	}
	svg := b.String()
	svg = svg[strings.Index(svg, "<svg"):] // without the XML declaration, which HTML has no place for
	svg = strings.ReplaceAll(svg, "font-family:Liberation Sans;", "font-family:Liberation Sans,Arial,Helvetica,sans-serif;")
	return template.HTML(svg), nil // drawn from numbers and from the words above
}

// logarithmic makes an axis one of powers of ten.
func logarithmic(a *plot.Axis) {
	a.Min = math.Pow(10, math.Floor(math.Log10(max(a.Min, 0.001))))
	a.Max = math.Pow(10, math.Ceil(math.Log10(max(a.Max, 10*a.Min))))
	a.Scale = plot.LogScale{}
	a.Tick.Marker = plot.TickerFunc(func(least, most float64) []plot.Tick {
		var ticks []plot.Tick
		for v := least; v <= most*1.001; v *= 10 {
			ticks = append(ticks, plot.Tick{Value: v, Label: fmt.Sprintf("%g", v)})
			for i := 2.0; i < 10 && v*i <= most; i++ {
				ticks = append(ticks, plot.Tick{Value: v * i})
			}
		}
		return ticks
	})
}
