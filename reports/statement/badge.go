package statement

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"unicode/utf8"

	"github.com/hnsim/hnsim/reports"
)

// Badge is a verdict in a few words, in the form that endpoints of shields.io
// answer with.
type Badge struct {
	SchemaVersion int    `json:"schemaVersion"`
	Label         string `json:"label"`
	Message       string `json:"message"`
	Color         string `json:"color"`
}

// BadgeOf says how a run went. Colour is never the only signal.
func BadgeOf(r *reports.Report, label string) Badge {
	n := r.Totals()
	b := Badge{1, label, fmt.Sprintf("%d passed", n.Passed), "#2a7f2a"}
	switch bad := n.Failed + n.XPass + n.Errors; {
	case bad > 0:
		b.Message, b.Color = fmt.Sprintf("%d of %d failed", bad, n.Executed()+n.Errors), "#b03030"
	case n.Executed() == 0:
		b.Message, b.Color = "nothing tested", "#777777"
	case !r.Complete || r.Interrupted || n.NotRun > 0:
		b.Message, b.Color = fmt.Sprintf("%d passed, incomplete", n.Passed), "#a06a00"
	}
	return b
}

// SVG draws it. Widths are estimates: viewers have different fonts.
func (b Badge) SVG() []byte {
	const perRune, margin = 7, 12
	left, right := perRune*utf8.RuneCountInString(b.Label)+margin, perRune*utf8.RuneCountInString(b.Message)+margin
	esc := func(s string) string {
		var w bytes.Buffer
		_ = xml.EscapeText(&w, []byte(s)) // a buffer takes everything
		return w.String()
	}
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="20" role="img" aria-label="%s: %s">
<rect width="%d" height="20" fill="#444"/><rect x="%d" width="%d" height="20" fill="%s"/>
<g fill="#fff" font-family="Verdana,sans-serif" font-size="11" text-anchor="middle"><text x="%d" y="14">%s</text><text x="%d" y="14">%s</text></g>
</svg>
`, left+right, esc(b.Label), esc(b.Message), left, left, right, b.Color, left/2, esc(b.Label), left+right/2, esc(b.Message))
}
