package script

import (
	"fmt"
	"slices"
	"strings"
)

// Reference is the part of scenarios/README.md that is generated: the header's
// labels, the conditions, the words and the fields of packets.
func Reference() string {
	var b strings.Builder
	b.WriteString("## Labels\n\n| Label | Meaning |\n|---|---|\n")
	for _, l := range labelTable {
		fmt.Fprintf(&b, "| `%s` | %s |\n", l.Name, l.Meaning)
	}
	b.WriteString("\n## Conditions\n\n| Condition | Holds when |\n|---|---|\n")
	for _, c := range conditionDocs {
		fmt.Fprintf(&b, "| `[%s]` | %s |\n", c.form, c.meaning)
	}
	b.WriteString("\n## Words\n")
	var groups []string
	for _, w := range wordTable() {
		if !slices.Contains(groups, w.group) {
			groups = append(groups, w.group)
		}
	}
	for _, g := range groups {
		fmt.Fprintf(&b, "\n### %s\n", g)
		for _, w := range wordTable() {
			if w.group == g {
				w.reference(&b)
			}
		}
	}
	b.WriteString("\n## Fields of packets\n\n| Layer | Fields | Words |\n|---|---|---|\n")
	for _, layer := range layerNames() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", layer, fieldList(layer), sugarList(layer))
	}
	b.WriteString("\nNames that need no layer: ")
	var short []string
	for _, n := range wordNames(shortFields) {
		s := shortFields[n]
		short = append(short, fmt.Sprintf("`%s` (%s)", n, strings.Join(s.layers, " or ")+"."+s.field))
	}
	b.WriteString(strings.Join(short, ", ") + ".\n")
	return b.String()
}

func (w *word) reference(b *strings.Builder) {
	fmt.Fprintf(b, "\n#### `%s`\n\n", strings.TrimSpace(w.name+" "+w.args))
	b.WriteString(sentence(w.summary) + "\n")
	for _, d := range w.detail {
		b.WriteString("\n" + d + "\n")
	}
	fmt.Fprintf(b, "\n    %s\n", w.example)
	var notes []string
	switch {
	case w.acts:
		notes = append(notes, "begins or continues a stimulus")
	case w.checks:
		notes = append(notes, "checks, and ends the stimulus")
	}
	if w.refusable {
		notes = append(notes, "may stand behind `!`")
	}
	for _, n := range w.needs {
		notes = append(notes, "needs `"+n+"`")
	}
	if len(notes) > 0 {
		b.WriteString("\n*" + strings.Join(notes, "; ") + "*\n")
	}
}

// sentence is text with a capital and a full stop.
func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }

func fieldList(layer string) string {
	var out []string
	for _, f := range layerFields[layer] {
		out = append(out, "`"+f.name+"`")
	}
	return strings.Join(out, " ")
}

func sugarList(layer string) string {
	var out []string
	for _, s := range sugarOf[layer] {
		out = append(out, "`"+s.word+"`")
	}
	return strings.Join(out, " ")
}

// WordDoc describes a word of the language, for help and completion.
type WordDoc struct{ Name, Group, Args, Summary, Example string }

// Words lists the words in the order of the reference.
func Words() []WordDoc {
	var out []WordDoc
	for _, w := range wordTable() {
		out = append(out, WordDoc{w.name, w.group, w.args, w.summary, w.example})
	}
	return out
}
