package recording

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// flushEvery is how many bytes of text may be lost when the program dies.
const flushEvery = 1 << 18

// Writer writes a recording as it comes about. Worlds may be recorded
// concurrently. The first error sticks and is what Close returns: recording
// must not disturb the run. What no reader would take (MaxBytes, MaxLine,
// MaxWorlds) is a *LimitError, and ends the recording before it.
type Writer struct {
	mu      sync.Mutex
	zip     *gzip.Writer
	buf     *bufio.Writer
	enc     *json.Encoder
	worlds  int
	pending int   // bytes since the last flush
	room    int64 // bytes of text that a reader still takes
	err     error
	closed  bool
}

// LimitError says that a recording became larger than a reader takes.
type LimitError struct {
	Limit string // "more than 16 MB in one line"
	At    string // "HCN of world 3"
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("the recording stops at %s: %s, which nothing could read again; record fewer scenarios at a time, or leave this one out", e.At, e.Limit)
}

// NewWriter begins a recording.
func NewWriter(w io.Writer, h Header) (*Writer, error) { return newWriter(w, h, MaxBytes) }

func newWriter(w io.Writer, h Header, limit int64) (*Writer, error) {
	zip := gzip.NewWriter(w)
	rw := &Writer{zip: zip, buf: bufio.NewWriterSize(zip, 1<<16), room: limit - endRoom}
	rw.enc = json.NewEncoder((*counter)(rw))
	rw.enc.SetEscapeHTML(false)
	rw.write(&record{Schema: Schema, Header: &h})
	rw.flush()
	return rw, rw.err
}

// endRoom is kept for the last line: a reader wants less than its limit.
const endRoom = 64

// counter counts what goes into the buffer, one line at a time.
type counter Writer

func (c *counter) Write(p []byte) (int, error) {
	if len(p) > MaxLine {
		return 0, &LimitError{Limit: fmt.Sprintf("more than %d MB in one line", MaxLine>>20)}
	}
	if c.room -= int64(len(p)); c.room < 0 {
		return 0, &LimitError{Limit: fmt.Sprintf("more than %d MB of text", MaxBytes>>20)}
	}
	c.pending += len(p)
	return c.buf.Write(p)
}

func (w *Writer) open(o opening) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.worlds++; w.worlds > MaxWorlds {
		w.keep(&LimitError{fmt.Sprintf("more than %d worlds", MaxWorlds), o.Scenario})
	}
	w.write(&record{World: w.worlds, Open: &o})
	return w.worlds
}

// add writes lines of one world together.
func (w *Writer) add(records ...*record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range records {
		w.write(r)
		if r.Call == closing || w.pending > flushEvery {
			w.flush()
		}
	}
}

// fail notes an error from outside.
func (w *Writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keep(err)
}

func (w *Writer) write(r *record) {
	if w.err != nil || w.closed {
		return
	}
	err := w.enc.Encode(r)
	if limit, ok := errors.AsType[*LimitError](err); ok {
		limit.At = r.what()
	}
	w.keep(err)
}

// what names a line for messages.
func (r *record) what() string {
	switch {
	case r.Open != nil:
		return fmt.Sprintf("world %d, %s", r.World, r.Open.Scenario)
	case r.Seen != nil:
		return fmt.Sprintf("what %s of world %d saw", r.Seen.Role, r.World)
	case r.Call != "":
		return fmt.Sprintf("%s of world %d", r.Call, r.World)
	}
	return "its header"
}

func (w *Writer) flush() {
	w.pending = 0
	w.keep(w.buf.Flush())
	w.keep(w.zip.Flush())
}

func (w *Writer) keep(err error) {
	if w.err == nil {
		w.err = err
	}
}

// Close writes the last line. It does not close what it was given. Worlds that
// are still open are not recorded any further.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return errors.New("the recording is closed already")
	}
	w.room += endRoom
	w.write(&record{End: &ending{Worlds: w.worlds}})
	w.flush()
	w.closed = true
	w.keep(w.zip.Close())
	return w.err
}
