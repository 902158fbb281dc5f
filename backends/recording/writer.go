package recording

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"sync"
)

// flushEvery is how many bytes of text may be lost when the program dies.
const flushEvery = 1 << 18

// Writer writes a recording as it comes about. Worlds may be recorded
// concurrently. The first error sticks and is what Close returns: recording
// must not disturb the run.
type Writer struct {
	mu      sync.Mutex
	zip     *gzip.Writer
	buf     *bufio.Writer
	enc     *json.Encoder
	worlds  int
	pending int // bytes since the last flush
	err     error
	closed  bool
}

// NewWriter begins a recording.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	zip := gzip.NewWriter(w)
	rw := &Writer{zip: zip, buf: bufio.NewWriterSize(zip, 1<<16)}
	rw.enc = json.NewEncoder((*counter)(rw))
	rw.enc.SetEscapeHTML(false)
	rw.write(&record{Schema: Schema, Header: &h})
	rw.flush()
	return rw, rw.err
}

// counter counts what goes into the buffer.
type counter Writer

func (c *counter) Write(p []byte) (int, error) {
	c.pending += len(p)
	return c.buf.Write(p)
}

func (w *Writer) open(o opening) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.worlds++
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
	if w.err == nil && !w.closed {
		w.keep(w.enc.Encode(r))
	}
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
	w.write(&record{End: &ending{Worlds: w.worlds}})
	w.flush()
	w.closed = true
	w.keep(w.zip.Close())
	return w.err
}
