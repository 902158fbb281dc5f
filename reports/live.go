package reports

import (
	"fmt"
	"os"
)

// LiveText is a Sink that prints results while a run goes on: what is not as
// expected in full, and with All every result in a line.
type LiveText struct {
	Text   TextWriter
	All    bool
	Before func() // called before each print, to clear a status line; may be nil

	collector Collector
}

// Event implements Sink.
func (l *LiveText) Event(e Event) {
	l.collector.Event(e)
	if e.Kind != ScenarioFinished {
		return
	}
	res := l.collector.result(e.ID)
	unexpected := res.Status.Unexpected()
	if !unexpected && !l.All {
		return
	}
	if l.Before != nil {
		l.Before()
	}
	if !unexpected {
		l.Text.Line(res)
		return
	}
	l.Text.Failure(res)
	fmt.Fprintln(l.Text.W)
}

// AppendMarkdown appends the Markdown summary to a file that others write to
// as well, such as GitHub's step summary. The budget counts what is there.
func AppendMarkdown(name string, r *Report) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	left := MarkdownBudget - int(info.Size())
	if left < 4096 {
		return fmt.Errorf("%s is full: %d bytes", name, info.Size())
	}
	return WriteMarkdown(f, r, left)
}
