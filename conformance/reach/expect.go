package reach

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Expectation says which cells are to be open. The last row that fits a cell
// decides; a cell that no row fits may be either. The nil Expectation has no
// rows.
type Expectation struct {
	file string
	rows []row
}

type row struct {
	line           int
	from, to, port string // "*" is any
	open           bool
	used           bool
}

// Of is what is expected of a cell.
func (e *Expectation) Of(from, to, port string) (open, ok bool) {
	if e == nil {
		return false, false
	}
	for i := range e.rows {
		r := &e.rows[i]
		if fits(r.from, from) && fits(r.to, to) && fits(r.port, port) {
			open, ok, r.used = r.open, true, true
		}
	}
	return open, ok
}

func fits(want, got string) bool { return want == "*" || want == got }

// Unused reports rows that fit no cell: a name that is misspelt would expect
// nothing.
func (e *Expectation) Unused() error {
	if e == nil {
		return nil
	}
	for _, r := range e.rows {
		if !r.used {
			return fmt.Errorf("%s:%d: %s > %s %s fits no cell of the table: expected names of places and ports that are asked for, or *", e.file, r.line, r.from, r.to, r.port)
		}
	}
	return nil
}

// maxRows bounds an expectation.
const maxRows = 1 << 16

// ParseExpectation reads CSV or JSON. CSV has a head with the columns from, to
// and port, and expected, or actual where there is none: what the CSV table
// has. Values are open or closed. JSON is a list of objects with the same
// members, or a table as the JSON output has it. Errors name file and line.
func ParseExpectation(file string, data []byte) (*Expectation, error) {
	e := &Expectation{file: file}
	var err error
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if t := bytes.TrimSpace(data); len(t) > 0 && (t[0] == '[' || t[0] == '{') {
		err = e.json(t)
	} else {
		err = e.csv(data)
	}
	if err != nil {
		return nil, err
	}
	if len(e.rows) == 0 {
		return nil, fmt.Errorf("%s: no row: expected at least one of from, to, port, open or closed", file)
	}
	return e, nil
}

func (e *Expectation) csv(data []byte) error {
	r := csv.NewReader(bytes.NewReader(data))
	r.Comment, r.TrimLeadingSpace, r.FieldsPerRecord = '#', true, -1
	var head []string
	for {
		fields, err := r.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", e.file, err)
		}
		line, _ := r.FieldPos(0) // there is no position without a record
		if head == nil {
			head = fields
			for _, name := range []string{"from", "to", "port"} {
				if !slices.Contains(head, name) {
					return fmt.Errorf("%s:%d: the head has no column %q: found %s, expected from,to,port,expected", e.file, line, name, strings.Join(head, ","))
				}
			}
			continue
		}
		get := func(name string) string {
			if i := slices.Index(head, name); i >= 0 && i < len(fields) {
				return strings.TrimSpace(fields[i])
			}
			return ""
		}
		value := get("expected")
		if value == "" {
			value = get("actual")
		}
		if err := e.add(line, get("from"), get("to"), get("port"), value); err != nil {
			return err
		}
	}
}

// jsonRow is a row, or a cell of a table.
type jsonRow struct {
	From     string          `json:"from"`
	To       string          `json:"to"`
	Port     string          `json:"port"`
	Expected json.RawMessage `json:"expected"`
	Open     *bool           `json:"open"`
}

func (e *Expectation) json(data []byte) error {
	var rows []jsonRow
	if data[0] == '{' {
		var t struct {
			Cells []jsonRow `json:"cells"`
		}
		if err := json.Unmarshal(data, &t); err != nil {
			return notJSON(e.file, data, err)
		}
		rows = t.Cells
	} else if err := json.Unmarshal(data, &rows); err != nil {
		return notJSON(e.file, data, err)
	}
	for i, r := range rows {
		value := strings.Trim(string(r.Expected), `"`)
		if value == "" && r.Open != nil {
			value = fmt.Sprint(*r.Open)
		}
		if err := e.add(i+1, r.From, r.To, r.Port, value); err != nil {
			return err
		}
	}
	return nil
}

func (e *Expectation) add(line int, from, to, port, value string) error {
	r := row{line: line, from: from, to: to, port: port}
	switch value {
	case "open", "true":
		r.open = true
	case "closed", "false":
	default:
		return fmt.Errorf("%s:%d: %q: expected open or closed", e.file, line, value)
	}
	if from == "" || to == "" || port == "" {
		return fmt.Errorf("%s:%d: from, to and port must not be empty: expected a name, or * for any", e.file, line)
	}
	if port != "*" {
		if _, err := ParsePort(port); err != nil {
			return fmt.Errorf("%s:%d: %w, or *", e.file, line, err)
		}
	}
	if len(e.rows) >= maxRows {
		return fmt.Errorf("%s:%d: more than %d rows", e.file, line, maxRows)
	}
	e.rows = append(e.rows, r)
	return nil
}
