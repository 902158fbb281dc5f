package hcn

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// writer builds compact JSON in member order. encoding/json is not used for
// objects because it can neither keep unknown members nor their order.
type writer struct {
	buf   bytes.Buffer
	first bool
}

func (w *writer) bytes() []byte { return append([]byte(nil), w.buf.Bytes()...) }

func (w *writer) raw(s string) { w.buf.WriteString(s) }

func (w *writer) uint(n uint64) { w.buf.WriteString(strconv.FormatUint(n, 10)) }

// str writes a JSON string without escaping HTML characters: documents are
// compared as text by people.
func (w *writer) str(s string) {
	enc := json.NewEncoder(&w.buf)
	enc.SetEscapeHTML(false)
	// Encoding a string cannot fail; Encode appends a newline.
	_ = enc.Encode(s)
	w.buf.Truncate(w.buf.Len() - 1)
}

func (w *writer) object(body func()) {
	outer := w.first
	w.buf.WriteByte('{')
	w.first = true
	body()
	w.buf.WriteByte('}')
	w.first = outer
}

func (w *writer) array(n int, elem func(i int)) {
	outer := w.first
	w.buf.WriteByte('[')
	for i := 0; i < n; i++ {
		if i > 0 {
			w.buf.WriteByte(',')
		}
		elem(i)
	}
	w.buf.WriteByte(']')
	w.first = outer
}

func (w *writer) member(name string, value func()) {
	if !w.first {
		w.buf.WriteByte(',')
	}
	w.str(name)
	w.buf.WriteByte(':')
	value()
	w.first = false
}

func (w *writer) extras(list Extras) {
	for _, m := range list {
		w.member(m.Name, func() { w.buf.Write(m.Value) })
	}
}
