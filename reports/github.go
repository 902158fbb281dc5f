package reports

import (
	"fmt"
	"io"
	"strings"
)

// annotationsPerKind is how many annotations of one kind GitHub shows for a
// step; it drops the rest without a word, so the last one says how many there
// are.
const annotationsPerKind = 10

// WriteAnnotations writes GitHub workflow commands: errors for what is not as
// expected, warnings for flaky and expired results. At most ten of a kind; the
// tenth counts the rest.
func WriteAnnotations(w io.Writer, r *Report) error {
	var lines []string
	lines = append(lines, annotations("error", r.With(Failed, XPass, Error))...)
	lines = append(lines, annotations("warning", r.With(Flaky))...)
	for _, l := range lines {
		if _, err := fmt.Fprintln(w, l); err != nil {
			return err
		}
	}
	return nil
}

func annotations(kind string, results []Result) []string {
	var out []string
	for i := range results {
		if i == annotationsPerKind-1 && len(results) > annotationsPerKind {
			out = append(out, fmt.Sprintf("::%s title=hnsim::%s", kind,
				ghData(fmt.Sprintf("%d more scenarios; see the step summary and the report", len(results)-i))))
			break
		}
		out = append(out, annotation(kind, &results[i]))
	}
	return out
}

func annotation(kind string, res *Result) string {
	file, line := res.File, res.Line
	msg := res.Reason
	if f := res.Failure; f != nil {
		if f.File != "" {
			file, line = f.File, f.Line
		}
		msg = f.Message
		if f.Expected != "" {
			msg += "\nexpected " + f.Expected
		}
		if f.Received != "" {
			msg += "\nreceived " + f.Received
		}
	}
	var props []string
	if file != "" {
		props = append(props, "file="+ghProperty(file))
		if line > 0 {
			props = append(props, fmt.Sprintf("line=%d", line))
		}
	}
	props = append(props, "title="+ghProperty(res.ID))
	return fmt.Sprintf("::%s %s::%s", kind, strings.Join(props, ","), ghData(msg))
}

var (
	ghDataEscaper     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	ghPropertyEscaper = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func ghData(s string) string     { return ghDataEscaper.Replace(printable(s)) }
func ghProperty(s string) string { return ghPropertyEscaper.Replace(printable(s)) }
