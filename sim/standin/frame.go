package standin

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits of what the server reads. A detailed enumeration may be megabytes
// long (rule A5a); documents that clients send are far shorter.
const (
	MaxGreeting = 4 << 10
	MaxRequest  = 16 << 20
	MaxResponse = 256 << 20
	maxTexts    = 8
)

const (
	magic    = "HNS1"
	nullText = 0xFFFFFFFF
)

// Text is a text or the NULL pointer.
type Text struct {
	Value string
	Null  bool
}

// Str is a text that is not NULL.
func Str(s string) Text { return Text{Value: s} }

// Null is the NULL pointer.
var Null = Text{Null: true}

// Request is one call of an exported function.
type Request struct {
	Function string
	Handle   uint64
	Number   uint64   // the function's scalar argument, if it has one
	GUID     [16]byte // layout of Windows in memory
	Texts    []Text   // its text arguments in order
}

// Response is the answer to a Request.
type Response struct {
	HResult uint32
	Handle  uint64
	Number  uint64
	Texts   []Text // result, error record
}

// greeting is the first frame of a connection.
type greeting struct {
	session     uint64
	token, host Text
}

// readFrame reads a payload of at most limit bytes.
func readFrame(r io.Reader, limit int) ([]byte, error) {
	n, err := readLength(r, limit)
	if err != nil {
		return nil, err
	}
	return readBody(r, n)
}

func readLength(r io.Reader, limit int) (int, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, err // io.EOF between frames is the regular end
	}
	n := binary.LittleEndian.Uint32(head[:])
	if uint64(n) > uint64(limit) {
		return 0, badFrame("a frame of %d bytes: at most %d are accepted", n, limit)
	}
	return int(n), nil
}

// readBody reads what the length promised. Memory grows with what arrives.
func readBody(r io.Reader, n int) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err == nil && len(body) < n {
		err = io.ErrUnexpectedEOF
	}
	return body, err
}

func writeFrame(w io.Writer, payload []byte) error {
	frame := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(payload)), uint32(len(payload)))
	_, err := w.Write(append(frame, payload...))
	return err
}

// frameError is a breach of the protocol by the peer.
type frameError struct{ msg string }

func (e *frameError) Error() string { return e.msg }

func badFrame(format string, args ...any) error {
	return &frameError{fmt.Sprintf(format, args...)}
}

// cursor reads a payload from front to back. The first error stays.
type cursor struct {
	rest []byte
	err  error
}

func (c *cursor) take(n int, what string) []byte {
	if c.err == nil && len(c.rest) < n {
		c.err = badFrame("the frame ends within %s", what)
	}
	if c.err != nil {
		return make([]byte, min(n, 16))
	}
	out := c.rest[:n]
	c.rest = c.rest[n:]
	return out
}

func (c *cursor) u8(what string) int            { return int(c.take(1, what)[0]) }
func (c *cursor) u32(what string) uint32        { return binary.LittleEndian.Uint32(c.take(4, what)) }
func (c *cursor) u64(what string) uint64        { return binary.LittleEndian.Uint64(c.take(8, what)) }
func (c *cursor) guid(what string) (g [16]byte) { copy(g[:], c.take(16, what)); return g }

func (c *cursor) text(what string) Text {
	n := c.u32(what)
	if n == nullText || c.err != nil {
		return Null
	}
	if uint64(n) > uint64(len(c.rest)) {
		c.err = badFrame("the frame ends within %s", what)
		return Null
	}
	s, err := decodeUTF16(c.take(int(n), what))
	if err != nil && c.err == nil {
		c.err = badFrame("%s: %v", what, err)
	}
	return Str(s)
}

func (c *cursor) texts() []Text {
	n := c.u8("the number of texts")
	if n > maxTexts && c.err == nil {
		c.err = badFrame("%d texts: at most %d are accepted", n, maxTexts)
	}
	var out []Text
	for i := 0; i < n && c.err == nil; i++ {
		out = append(out, c.text(fmt.Sprintf("text %d", i+1)))
	}
	return out
}

// end fails if something follows the last field.
func (c *cursor) end() error {
	if c.err == nil && len(c.rest) > 0 {
		c.err = badFrame("%d bytes follow the last field", len(c.rest))
	}
	return c.err
}

func parseGreeting(b []byte) (greeting, error) {
	c := &cursor{rest: b}
	if string(c.take(len(magic), "the greeting")) != magic && c.err == nil {
		return greeting{}, badFrame("the greeting does not begin with %s", magic)
	}
	g := greeting{session: c.u64("the session"), token: c.text("the token"), host: c.text("the host")}
	return g, c.end()
}

func appendGreeting(b []byte, g greeting) []byte {
	b = binary.LittleEndian.AppendUint64(append(b, magic...), g.session)
	return appendText(appendText(b, g.token), g.host)
}

func parseRequest(b []byte) (Request, error) {
	c := &cursor{rest: b}
	r := Request{Handle: c.u64("the handle"), Number: c.u64("the number"), GUID: c.guid("the GUID")}
	name := c.take(c.u8("the function's name"), "the function's name")
	for _, ch := range name {
		if (ch < 0x21 || ch > 0x7E) && c.err == nil {
			c.err = badFrame("the function's name has the byte %#02x", ch)
		}
	}
	r.Function = string(name)
	r.Texts = c.texts()
	return r, c.end()
}

func appendRequest(b []byte, r *Request) ([]byte, error) {
	if len(r.Function) > 255 || len(r.Texts) > maxTexts {
		return nil, errors.New("standin: the request does not fit the protocol")
	}
	b = binary.LittleEndian.AppendUint64(b, r.Handle)
	b = binary.LittleEndian.AppendUint64(b, r.Number)
	b = append(b, r.GUID[:]...)
	b = append(append(b, byte(len(r.Function))), r.Function...)
	return appendTexts(b, r.Texts), nil
}

func parseResponse(b []byte) (Response, error) {
	c := &cursor{rest: b}
	r := Response{HResult: c.u32("the result"), Handle: c.u64("the handle"), Number: c.u64("the number"), Texts: c.texts()}
	return r, c.end()
}

func appendResponse(b []byte, r *Response) []byte {
	b = binary.LittleEndian.AppendUint32(b, r.HResult)
	b = binary.LittleEndian.AppendUint64(b, r.Handle)
	b = binary.LittleEndian.AppendUint64(b, r.Number)
	return appendTexts(b, r.Texts)
}

func appendTexts(b []byte, texts []Text) []byte {
	b = append(b, byte(len(texts)))
	for _, t := range texts {
		b = appendText(b, t)
	}
	return b
}

func appendText(b []byte, t Text) []byte {
	if t.Null {
		return binary.LittleEndian.AppendUint32(b, nullText)
	}
	at := len(b)
	b = binary.LittleEndian.AppendUint32(b, 0)
	for _, r := range t.Value {
		for _, u := range utf16.AppendRune(nil, r) {
			b = binary.LittleEndian.AppendUint16(b, u)
		}
	}
	binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

// decodeUTF16 refuses what Windows would let pass as a broken text: halves of
// a pair, and NULs, which would end the text for a client that reads it back.
func decodeUTF16(b []byte) (string, error) {
	if len(b)%2 != 0 {
		return "", errors.New("UTF-16 of an odd number of bytes")
	}
	out := make([]byte, 0, len(b)/2)
	for i := 0; i < len(b); i += 2 {
		r := rune(binary.LittleEndian.Uint16(b[i:]))
		switch {
		case r == 0:
			return "", fmt.Errorf("UTF-16 with a NUL at unit %d", i/2)
		case utf16.IsSurrogate(r):
			pair := rune(utf8.RuneError)
			if i+4 <= len(b) {
				pair = utf16.DecodeRune(r, rune(binary.LittleEndian.Uint16(b[i+2:])))
			}
			if pair == utf8.RuneError {
				return "", fmt.Errorf("UTF-16 with half a pair at unit %d", i/2)
			}
			r = pair
			i += 2
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out), nil
}

// guidText is the canonical text of a GUID; the zero GUID, which means none
// (rule A7), is "".
func guidText(g [16]byte) string {
	if g == [16]byte{} {
		return ""
	}
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", binary.LittleEndian.Uint32(g[:]),
		binary.LittleEndian.Uint16(g[4:]), binary.LittleEndian.Uint16(g[6:]), g[8:10], g[10:])
}
