package reports

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// MaxLineBytes bounds one line of an event log. A failure with a long trace
// has some tens of kilobytes.
const MaxLineBytes = 8 << 20

// maxTraceLines bounds the trace within one event, so that a line stays below
// MaxLineBytes whatever a backend reports.
const maxTraceLines = 5000

// LogWriter is a Sink that writes the event log. The first error sticks: the
// run goes on, and Err tells at its end.
type LogWriter struct {
	w   io.Writer
	seq int
	now func() time.Time
	err error
}

// NewLogWriter writes to w, one Write per event, so that a log that is cut off
// ends at most one line short. Now stamps the events; nil leaves times out.
func NewLogWriter(w io.Writer, now func() time.Time) *LogWriter {
	return &LogWriter{w: w, now: now}
}

// Event implements Sink. It numbers the event and puts Schema into the first.
func (l *LogWriter) Event(e Event) {
	if l.err != nil {
		return
	}
	e.Seq = l.seq
	e.Schema = ""
	if l.seq == 0 {
		e.Schema = Schema
	}
	l.seq++
	if l.now != nil && e.Time.IsZero() {
		e.Time = l.now()
	}
	e.Time = e.Time.UTC()
	if e.Failure != nil && len(e.Failure.Trace) > maxTraceLines {
		f := *e.Failure
		f.Trace = append(f.Trace[:maxTraceLines:maxTraceLines], "... trace cut here")
		e.Failure = &f
	}
	line, err := json.Marshal(e)
	if err != nil {
		l.err = fmt.Errorf("event %d: %w", e.Seq, err)
		return
	}
	if _, err := l.w.Write(append(line, '\n')); err != nil {
		l.err = fmt.Errorf("event log: %w", err)
	}
}

// Err is the first error of writing.
func (l *LogWriter) Err() error { return l.err }

// LineError is a line of a log that cannot be read.
type LineError struct {
	Line int
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("event log line %d: %v", e.Line, e.Err) }
func (e *LineError) Unwrap() error { return e.Err }

// ErrTruncated means that a log's last line is incomplete. The events before
// it are good.
var ErrTruncated = errors.New("the last line is incomplete")

// ReadLog sends the events of a log to sink. Lines are bounded by
// MaxLineBytes. Unknown kinds pass through, unknown fields are ignored. After
// an error the sink has seen all events before the place it names.
func ReadLog(r io.Reader, sink Sink) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 0, 64<<10), MaxLineBytes)
	sc.Split(splitLines)
	for n := 1; sc.Scan(); n++ {
		line := sc.Bytes()
		whole := bytes.HasSuffix(line, []byte{'\n'})
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			if !whole {
				err = ErrTruncated
			}
			return &LineError{n, err}
		}
		if err := checkEvent(&e, n == 1); err != nil {
			return &LineError{n, err}
		}
		sink.Event(e)
	}
	if err := sc.Err(); err != nil {
		return fmt.Errorf("event log: %w", err)
	}
	return nil
}

// splitLines is bufio.ScanLines that keeps the line end, so that a line cut
// off can be told from a whole one.
func splitLines(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i+1], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

func checkEvent(e *Event, first bool) error {
	if e.Kind == "" {
		return errors.New(`no "event"`)
	}
	if first {
		major, _, _ := strings.Cut(Schema, ".")
		if e.Schema == "" || !strings.HasPrefix(e.Schema, major+".") {
			return fmt.Errorf("schema is %q, this program reads %q: not a log of hnsim", e.Schema, Schema)
		}
		if e.Schema != Schema {
			return fmt.Errorf("schema is %q, this program reads %q: use the hnsim that wrote it", e.Schema, Schema)
		}
	}
	if e.Outcome != nil && !known(e.Outcome.Status) {
		return fmt.Errorf("unknown status %q", e.Outcome.Status)
	}
	if strings.HasPrefix(string(e.Kind), "scenario.") && e.ID == "" {
		return fmt.Errorf("%s without id", e.Kind)
	}
	return nil
}

func known(s Status) bool {
	for _, k := range statuses {
		if s == k {
			return true
		}
	}
	return false
}

// Load reads a whole log into a Report. A truncated log gives the report of
// what is there, Complete false, and no error.
func Load(r io.Reader) (*Report, error) {
	var c Collector
	err := ReadLog(r, &c)
	if errors.Is(err, ErrTruncated) {
		err = nil
	}
	return c.Report(), err
}
