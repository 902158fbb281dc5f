package reports

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"path/filepath"
	"strings"
)

//go:embed diff.html.tmpl
var diffPage string

var diffTemplate = template.Must(template.New("diff").Funcs(template.FuncMap{
	"side":  func(s DiffSide) string { return s.text() },
	"count": count,
	"word":  func(v Verdict) string { return verdictWords[v].word },
	"clean": printable,
	"why":   func(e Expectation) string { return strings.TrimSpace(e.Issue + " " + e.Reason) },
	"place": func(e Expectation) string { return fmt.Sprintf("%s:%d", e.File, e.Line) },
}).Parse(diffPage))

// diffView is what the page shows, in its order.
type diffView struct {
	*Diff
	Verdict string
	Good    bool
	Differs []diffCase
	Known   []diffCase
	Agree   []Comparison
	Apart   []apart
}

// diffCase is a difference with its fields in two piles.
type diffCase struct {
	Comparison
	Shown, Same []FieldPair
}

// apart are the scenarios that cannot be compared for one reason.
type apart struct {
	ReasonCount
	Scenarios []Comparison
}

// DiffPage is a comparison as one HTML page that needs nothing else: no script,
// no font, no picture.
func DiffPage(d *Diff) ([]byte, error) {
	v := diffView{Diff: d}
	n := d.Totals
	v.Good = n.Differ+n.Stale == 0 && n.Compared() > 0
	switch {
	case n.Differ > 0:
		v.Verdict = "The sides differ"
	case n.Stale > 0:
		v.Verdict = "Known deviations no longer differ"
	case n.Compared() == 0:
		v.Verdict = "Nothing could be compared"
	default:
		v.Verdict = "The sides agree"
	}
	for _, r := range d.Reasons() {
		v.Apart = append(v.Apart, apart{ReasonCount: r})
	}
	for _, c := range d.Scenarios {
		switch c.Verdict {
		case Differ:
			v.Differs = append(v.Differs, mkCase(c))
		case KnownDiffer:
			v.Known = append(v.Known, mkCase(c))
		case Agree:
			v.Agree = append(v.Agree, c)
		default:
			for i := range v.Apart {
				if v.Apart[i].Reason == c.Reason {
					v.Apart[i].Scenarios = append(v.Apart[i].Scenarios, c)
				}
			}
		}
	}
	var b bytes.Buffer
	err := diffTemplate.Execute(&b, v)
	return b.Bytes(), err
}

func mkCase(c Comparison) diffCase {
	out := diffCase{Comparison: c}
	for _, f := range c.Difference.Fields {
		if f.State == FieldSame {
			out.Same = append(out.Same, f)
		} else {
			out.Shown = append(out.Shown, f)
		}
	}
	return out
}

// WriteDiffPage writes the page in one step.
func WriteDiffPage(name string, d *Diff) error {
	page, err := DiffPage(d)
	if err != nil {
		return err
	}
	return writeWhole(filepath.Clean(name), page)
}
