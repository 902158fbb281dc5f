package hcn

import (
	"errors"
	"fmt"
	"strings"
)

// Error is a refusal of the service. Path names the place in the document
// ("Ipams[0].Subnets[1].IpAddressPrefix"); it is empty when the document as a
// whole is meant. errors.Is(err, hcn.ErrPortAlreadyExists) compares codes.
type Error struct {
	Code     Code
	Detail   string // what is wrong, in one clause
	Path     string
	Found    string // what stands at Path, as text
	Expected string // what would be right there
	Line     int    // 1-based position in the document; 0 when not known
	Column   int
}

// Errorf makes an error without a place.
func Errorf(c Code, format string, args ...any) *Error {
	return &Error{Code: c, Detail: fmt.Sprintf(format, args...)}
}

// ErrorAt makes an error for a place in a document.
func ErrorAt(c Code, path, found, expected string) *Error {
	return &Error{Code: c, Path: path, Found: found, Expected: expected}
}

// Error prints the code's name and number, the sentence, and the place with
// what was found and what was expected.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Code.String())
	b.WriteString(": ")
	b.WriteString(e.Code.Sentence())
	if d := e.DetailText(); d != "" {
		b.WriteByte(' ')
		b.WriteString(d)
	}
	return b.String()
}

// DetailText is the part of the message that follows the sentence.
func (e *Error) DetailText() string {
	var parts []string
	if e.Path != "" {
		parts = append(parts, "At "+e.Path)
	}
	if e.Line > 0 {
		parts = append(parts, fmt.Sprintf("line %d, column %d", e.Line, e.Column))
	}
	var what []string
	if e.Detail != "" {
		what = append(what, e.Detail)
	}
	if e.Found != "" {
		what = append(what, "found "+e.Found)
	}
	if e.Expected != "" {
		what = append(what, "expected "+e.Expected)
	}
	place, text := strings.Join(parts, ", "), strings.Join(what, ", ")
	switch {
	case place == "":
		return text
	case text == "":
		return place
	}
	return place + ": " + text
}

// Is compares codes.
func (e *Error) Is(target error) bool {
	switch t := target.(type) {
	case Code:
		return e.Code == t
	case *Error:
		return e.Code == t.Code
	}
	return false
}

// ErrorRecord is the JSON text that HCN functions hand out beside the HRESULT
// (rule D.2) and that HNSCall puts in its envelope (rule A24: the sentence
// ends with a period and a space).
func (e *Error) ErrorRecord() []byte {
	text := e.Code.Sentence() + " "
	if d := e.DetailText(); d != "" {
		text += d
	}
	var w writer
	w.object(func() {
		w.member("Success", func() { w.raw("false") })
		w.member("Error", func() { w.str(text) })
		w.member("ErrorCode", func() { w.uint(uint64(e.Code)) })
	})
	return w.bytes()
}

// AsError finds the *Error in err's chain. An err without one becomes E_FAIL
// with err's text, so that every failure has a code.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var c Code
	if errors.As(err, &c) {
		return &Error{Code: c}
	}
	return &Error{Code: ErrFail, Detail: err.Error()}
}

// at prepends a path to an error that was made relative to it.
func (e *Error) at(prefix string) *Error {
	if e == nil {
		return nil
	}
	c := *e
	switch {
	case c.Path == "":
		c.Path = prefix
	case prefix == "":
	case strings.HasPrefix(c.Path, "["):
		c.Path = prefix + c.Path
	default:
		c.Path = prefix + "." + c.Path
	}
	return &c
}

// suggest returns ` (did you mean "x"?)` for the closest of the names, or "".
func suggest(got string, names []string) string {
	best, bestDist := "", 1+len(got)/2
	for _, n := range names {
		if d := editDistance(strings.ToLower(got), strings.ToLower(n)); d < bestDist {
			best, bestDist = n, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// editDistance is the Levenshtein distance of two short names.
func editDistance(a, b string) int {
	const limit = 128 // names are short; long input has no close name anyway
	if len(a) > limit || len(b) > limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diag := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diag
			if a[i-1] != b[j-1] {
				cost++
			}
			diag = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
