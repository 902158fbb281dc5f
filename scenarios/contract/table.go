package contract

import "strings"

// row is one body row of a Markdown table, with where it stands.
type row struct {
	file    string
	line    int    // 1-based
	section string // id of the innermost numbered heading, "3.3"
	header  []string
	cells   []string
}

// section is a numbered heading and the text below it, up to the next one.
type section struct {
	file, id, title string
	line            int
	text            strings.Builder
}

// document is a Markdown file as far as the contract needs it: numbered
// sections and tables.
type document struct {
	sections []*section
	rows     []row
}

// parseDocument never fails: what is not a numbered heading or a table row is
// text of its section.
func parseDocument(file, text string) *document {
	d := &document{}
	cur := &section{file: file}
	var header []string
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSuffix(line, "\r")
		if title, ok := heading(line); ok {
			header = nil
			id, rest := sectionID(title)
			cur = &section{file: file, id: id, title: rest, line: i + 1}
			if id != "" {
				d.sections = append(d.sections, cur)
			}
			continue
		}
		cur.text.WriteString(line)
		cur.text.WriteByte('\n')
		cells, ok := tableCells(line)
		switch {
		case !ok:
			header = nil
		case header == nil:
			header = cells
		case isRule(cells):
		default:
			d.rows = append(d.rows, row{file, i + 1, cur.id, header, cells})
		}
	}
	return d
}

// heading returns the text of a heading of level 2 or 3.
func heading(line string) (string, bool) {
	for _, mark := range []string{"## ", "### "} {
		if t, ok := strings.CutPrefix(line, mark); ok {
			return strings.TrimSpace(t), true
		}
	}
	return "", false
}

// sectionID splits "3.3 Timers", "3. Mode nat", "(a) Disagreements", "c.2 nat"
// and "D.3 Condition" into id and title. A heading without a number has no id.
func sectionID(title string) (id, rest string) {
	word, rest, _ := strings.Cut(title, " ")
	id = strings.TrimSuffix(word, ".")
	if strings.HasPrefix(id, "(") && strings.HasSuffix(id, ")") {
		return id, rest
	}
	numbered := false
	for i, part := range strings.Split(id, ".") {
		switch {
		case part == "":
			return "", title
		case strings.Trim(part, "0123456789") == "":
			numbered = true
		case i == 0 && len(part) == 1 && isLetter(part[0]):
			numbered = numbered || strings.HasSuffix(word, ".")
		default:
			return "", title
		}
	}
	if !numbered {
		return "", title
	}
	return id, rest
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// tableCells splits a table row. A | in a code span or behind a backslash does
// not separate cells.
func tableCells(line string) ([]string, bool) {
	s := strings.TrimSpace(line)
	if len(s) < 2 || s[0] != '|' {
		return nil, false
	}
	s = strings.TrimSuffix(s[1:], "|")
	var cells []string
	start, code := 0, false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '`':
			code = !code
		case '|':
			if !code {
				cells = append(cells, strings.TrimSpace(s[start:i]))
				start = i + 1
			}
		}
	}
	return append(cells, strings.TrimSpace(s[min(start, len(s)):])), true
}

// isRule reports whether the cells are those of the line below a table's head.
func isRule(cells []string) bool {
	for _, c := range cells {
		if c == "" || strings.Trim(c, ":-") != "" {
			return false
		}
	}
	return true
}
