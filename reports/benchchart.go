package reports

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

//go:embed bench.html.tmpl
var benchPage string

var benchTemplate = template.Must(template.New("bench").Funcs(template.FuncMap{
	"count": Count,
	"clean": printable,
	"f1":    func(v float64) string { return figure("%.1f", v) },
	"f2":    func(v float64) string { return fmt.Sprintf("%.2f", v) },
	"us":    micro,
	"kpps":  ServiceRate.text,
	"pct":   func(v float64) string { return fmt.Sprintf("%+.1f%%", 100*v) },
	"share": func(v float64) string { return fmt.Sprintf("%g%%", 100*v) },
}).Parse(benchPage))

// chart is one picture: cost over flows, or over sizes.
type chart struct {
	Title, XLabel string
	W, H          int
	Lines         []chartLine
	XTicks        []chartTick
	YTicks        []chartTick
	Left, Bottom  float64 // where the axes are
	Right, Top    float64
}

// Colours are the numbers of the lines' colours; a limit has that of all limits.
func (c chart) Colours() []int {
	out := make([]int, len(c.Lines))
	n := 0
	for i, l := range c.Lines {
		if !l.Limit {
			out[i] = n % 4
			n++
		}
	}
	return out
}

type chartLine struct {
	Name   string
	Limit  bool // the limit's line
	Path   string
	Points []chartPoint
	Label  chartPoint
}

type chartPoint struct {
	X, Y, Low, High float64 // Low and High are the extremes of the samples
	Title           string
}

type chartTick struct {
	At    float64
	Label string
}

// series are the values of one line before they have a place.
type series struct {
	name   string
	limit  bool
	xs     []string // in order; equal labels have one place
	values []spread
}

type spread struct{ mid, low, high float64 }

// benchView is what the page shows.
type benchView struct {
	*Bench
	Flows, Sizes []chart
	HasLimit     bool
	// Columns that say nothing are left out; Rest is how many are behind flows.
	HasCycles, HasGates, HasVariants bool
	Rest                             int
}

// only sets the columns that the table of cells has.
func (v *benchView) only() {
	some := func(has func(c *BenchCell) bool) bool {
		ok := slices.ContainsFunc(v.Cells, func(c BenchCell) bool { return has(&c) })
		if ok {
			v.Rest++
		}
		return ok
	}
	v.Rest = 8
	v.HasLimit = some(func(c *BenchCell) bool { return c.Limit > 0 })
	v.HasCycles = some(func(c *BenchCell) bool { return c.Cycles > 0 })
	v.HasGates = some(func(c *BenchCell) bool { return c.Gate != nil })
	v.HasVariants = some(func(c *BenchCell) bool { return c.Traffic() != "uniform" })
}

// BenchPage is a benchmark as one HTML page that needs nothing else.
func BenchPage(b *Bench) ([]byte, error) {
	v := benchView{Bench: b}
	v.only()
	v.Flows = b.charts("flows", func(c *BenchCell) string { return Count(c.Flows) }, func(c *BenchCell) string { return c.Size })
	v.Sizes = b.charts("bytes of a frame", func(c *BenchCell) string { return c.Size }, func(c *BenchCell) string { return Count(c.Flows) })
	var buf bytes.Buffer
	err := benchTemplate.Execute(&buf, v)
	return buf.Bytes(), err
}

// WriteBenchPage writes the page in one step.
func WriteBenchPage(name string, b *Bench) error {
	page, err := BenchPage(b)
	if err != nil {
		return err
	}
	return writeWhole(filepath.Clean(name), page)
}

// charts are those of every path that was measured at two values of x at
// least. by tells the lines of a chart apart.
func (b *Bench) charts(label string, x, by func(*BenchCell) string) []chart {
	var paths []string
	for i := range b.Cells {
		if !slices.Contains(paths, b.Cells[i].Path) {
			paths = append(paths, b.Cells[i].Path)
		}
	}
	var out []chart
	for _, p := range paths {
		var lines, limits []series
		for i := range b.Cells {
			c := &b.Cells[i]
			if c.Path != p || c.Remark() != "" || c.NS == 0 {
				continue
			}
			name := by(c)
			if label == "flows" {
				name = "size " + name
			} else {
				name += map[bool]string{true: " flow", false: " flows"}[name == "1"]
			}
			if t := c.Traffic(); t != "uniform" {
				name += " " + t
			}
			v := spread{mid: c.NS, low: c.NS, high: c.NS}
			for _, s := range c.Samples {
				v.low, v.high = min(v.low, s.NS), max(v.high, s.NS)
			}
			lines = addTo(lines, name, false, x(c), v)
			if c.Limit > 0 {
				limits = addTo(limits, "C limit, "+name, true, x(c), spread{c.Limit, c.Limit, c.Limit})
			}
		}
		if c, ok := draw(p, label, append(lines, limits...)); ok {
			out = append(out, c)
		}
	}
	return out
}

func addTo(all []series, name string, limit bool, x string, v spread) []series {
	i := slices.IndexFunc(all, func(s series) bool { return s.name == name })
	if i < 0 {
		i = len(all)
		all = append(all, series{name: name, limit: limit})
	}
	all[i].xs, all[i].values = append(all[i].xs, x), append(all[i].values, v)
	return all
}

const (
	chartW, chartH                                   = 460, 260
	chartLeft, chartRight, chartTop, chartBottomEdge = 52, 350, 34, 214
)

// draw gives everything its place. A chart of one x says nothing that the table
// does not.
func draw(title, label string, lines []series) (chart, bool) {
	c := chart{Title: title, XLabel: label, W: chartW, H: chartH, Left: chartLeft, Right: chartRight, Top: chartTop, Bottom: chartBottomEdge}
	var xs []string
	most := 0.0
	for _, s := range lines {
		for i, x := range s.xs {
			if !slices.Contains(xs, x) {
				xs = append(xs, x)
			}
			most = max(most, s.values[i].high)
		}
	}
	if len(xs) < 2 {
		return c, false
	}
	slices.SortFunc(xs, func(a, b string) int { return cmp.Compare(value(a), value(b)) })
	if most > 1e15 {
		return c, false // no time, and more than an axis can be divided into
	}
	step := niceStep(max(most, 1e-6))
	top := step * math.Ceil(most/step)
	y := func(v float64) float64 { return chartBottomEdge - v/top*(chartBottomEdge-chartTop) }
	at := func(x string) float64 {
		return chartLeft + (0.5+float64(slices.Index(xs, x)))*(chartRight-chartLeft)/float64(len(xs))
	}
	for _, x := range xs {
		c.XTicks = append(c.XTicks, chartTick{at(x), x})
	}
	for v := 0.0; v <= top+step/2; v += step {
		c.YTicks = append(c.YTicks, chartTick{y(v), strconv.FormatFloat(v, 'g', -1, 64)})
	}
	for _, s := range lines {
		l := chartLine{Name: s.name, Limit: s.limit}
		var points []chartPoint
		for i, x := range s.xs {
			v := s.values[i]
			points = append(points, chartPoint{at(x), y(v.mid), y(v.low), y(v.high), fmt.Sprintf("%s, %s: %.1f ns", s.name, x, v.mid)})
		}
		slices.SortFunc(points, func(a, b chartPoint) int { return cmp.Compare(a.X, b.X) })
		for i, p := range points {
			verb := "L"
			if i == 0 {
				verb = "M"
			}
			l.Path += fmt.Sprintf("%s%.1f %.1f", verb, p.X, p.Y)
		}
		l.Points, l.Label = points, points[len(points)-1]
		c.Lines = append(c.Lines, l)
	}
	c.spreadLabels()
	return c, true
}

// spreadLabels keeps the names of lines from lying on top of each other.
func (c *chart) spreadLabels() {
	const room = 13
	var order []int
	limits := false
	for i := range c.Lines {
		if l := &c.Lines[i]; l.Limit && limits {
			l.Name = "" // they lie close together: one name is enough, points have theirs
			continue
		} else if l.Limit {
			limits, l.Name = true, "C limit"
		}
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(c.Lines[a].Label.Y, c.Lines[b].Label.Y) })
	last := math.Inf(-1)
	for _, i := range order {
		l := &c.Lines[i].Label
		l.Y = max(l.Y, last+room)
		last = l.Y
	}
	over := last - (c.Bottom - 9) // clear of the axis
	for k := len(order) - 1; k >= 0 && over > 0; k-- {
		l := &c.Lines[order[k]].Label
		l.Y -= over
		if k > 0 {
			over = c.Lines[order[k-1]].Label.Y + room - l.Y
		}
	}
}

// value orders labels: 1k, imix, 1514.
func value(label string) float64 {
	if label == "imix" {
		return 353.8 // the mean of the mix
	}
	scale := 1.0
	if digits, ok := strings.CutSuffix(label, "k"); ok {
		scale, label = 1e3, digits
	} else if digits, ok := strings.CutSuffix(label, "M"); ok {
		scale, label = 1e6, digits
	}
	v, err := strconv.ParseFloat(label, 64)
	if err != nil || math.IsNaN(v) {
		return 0
	}
	return v * scale
}

// niceStep divides an axis into four to eight parts of a round size.
func niceStep(most float64) float64 {
	if most <= 0 {
		return 1
	}
	raw := most / 6
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5} {
		if raw <= m*power {
			return m * power
		}
	}
	return 10 * power
}
