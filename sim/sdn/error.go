package sdn

import (
	"fmt"
	"strings"
)

// Error is a refusal of the controller. The codes are this model's: the
// controller's own are not published.
type Error struct {
	Status   int    // of HTTP
	Code     string // "InvalidDocument", "ResourceNotFound", "ResourceInUse", "Conflict"
	Resource string // path of the resource
	Path     string // place in its document: "properties.subnets[0].properties.addressPrefix"
	Line     int    // of Path in the document that was sent, 1-based; 0 unknown
	Column   int
	Detail   string
	Found    string
	Expected string
}

// HTTP's numbers of what the controller answers; it serves no HTTP itself.
const (
	statusBadRequest = 400
	statusNotFound   = 404
	statusConflict   = 409
)

// Codes of refusals.
const (
	CodeInvalid  = "InvalidDocument"
	CodeNotFound = "ResourceNotFound"
	CodeInUse    = "ResourceInUse"
	CodeConflict = "Conflict"
)

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s: %s", e.Status, e.Code, e.Resource)
	if e.Path != "" {
		fmt.Fprintf(&b, " at %s", e.Path)
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, ", line %d, column %d", e.Line, e.Column)
	}
	sep := ": "
	for _, p := range []string{e.Detail, prefixed("found ", e.Found), prefixed("expected ", e.Expected)} {
		if p != "" {
			b.WriteString(sep + p)
			sep = ", "
		}
	}
	return b.String()
}

func prefixed(p, s string) string {
	if s == "" {
		return ""
	}
	return p + s
}

func invalid(path, found, expected string) *Error {
	return &Error{Status: statusBadRequest, Code: CodeInvalid, Path: path, Found: found, Expected: expected}
}

func conflict(path, format string, args ...any) *Error {
	return &Error{Status: statusConflict, Code: CodeConflict, Path: path, Detail: fmt.Sprintf(format, args...)}
}
