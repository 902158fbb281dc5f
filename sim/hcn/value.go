package hcn

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of a document. A detailed list of a busy node is megabytes (A5a).
const (
	maxDocumentLen = 64 << 20
	maxDepth       = 64
)

type kind uint8

const (
	nullKind kind = iota
	boolKind
	numberKind
	stringKind
	arrayKind
	objectKind
)

func (k kind) String() string {
	return [...]string{"null", "true or false", "a number", "text", "a list", "an object"}[k]
}

// node is a parsed JSON value that remembers where it stood.
type node struct {
	kind    kind
	off     int // offset of the first byte
	end     int
	str     string // text of a string, digits of a number, true or false
	members []member
	elems   []*node
}

type member struct {
	name string
	val  *node
}

// get returns the last member with that name, in any case (rule B2).
func (n *node) get(name string) *node {
	for i := len(n.members) - 1; i >= 0; i-- {
		if equalFold(n.members[i].name, name) {
			return n.members[i].val
		}
	}
	return nil
}

// describe shows the value in an error message, cut to a line's length.
func (n *node) describe(src []byte) string {
	switch n.kind {
	case objectKind:
		if len(n.members) > 0 {
			return "an object"
		}
	case arrayKind:
		if len(n.elems) > 0 {
			return fmt.Sprintf("a list of %d", len(n.elems))
		}
	}
	return clip(string(src[n.off:n.end]))
}

// clip shortens text for a message without cutting a rune.
func clip(s string) string {
	const limit = 60
	if len(s) <= limit {
		return s
	}
	cut := limit
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}

type parser struct {
	src   []byte
	pos   int
	depth int
	limit int // of depth
}

// parse reads one JSON text. It is stricter about place than encoding/json,
// whose errors have an offset only: the error has line, column and what was
// found there.
func parse(src []byte) (*node, *Error) { return parseTo(src, maxDepth) }

// parseTo is parse with a bound of nesting.
func parseTo(src []byte, depth int) (*node, *Error) {
	if len(src) > maxDocumentLen {
		return nil, Errorf(ErrInvalidJSON, "the document has %d bytes, more than %d", len(src), maxDocumentLen)
	}
	p := &parser{src: src, limit: depth}
	// PowerShell 5 writes files with a byte order mark.
	if len(src) >= 3 && src[0] == 0xEF && src[1] == 0xBB && src[2] == 0xBF {
		p.pos = 3
	}
	p.space()
	n, err := p.value()
	if err != nil {
		return nil, err
	}
	p.space()
	if p.pos < len(src) {
		return nil, p.fail("the end of the document")
	}
	return n, nil
}

// position converts an offset to a 1-based line and column (in bytes).
func position(src []byte, off int) (line, column int) {
	line, column = 1, 1
	for i := 0; i < off && i < len(src); i++ {
		if src[i] == '\n' {
			line++
			column = 1
		} else {
			column++
		}
	}
	return line, column
}

func (p *parser) fail(expected string) *Error {
	e := &Error{Code: ErrInvalidJSON, Expected: expected}
	e.Line, e.Column = position(p.src, p.pos)
	if p.pos >= len(p.src) {
		e.Found = "the end of the document"
		return e
	}
	rest := p.src[p.pos:]
	r, size := utf8.DecodeRune(rest)
	if word := leadingWord(rest); len(word) > 1 {
		e.Found = strconv.Quote(clip(word))
	} else if r == utf8.RuneError && size <= 1 {
		e.Found = fmt.Sprintf("byte 0x%02x", rest[0])
	} else {
		e.Found = strconv.Quote(string(r))
	}
	return e
}

func leadingWord(b []byte) string {
	i := 0
	for i < len(b) && (b[i] == '_' || b[i] >= '0' && b[i] <= '9' || b[i]|0x20 >= 'a' && b[i]|0x20 <= 'z') {
		i++
	}
	return string(b[:i])
}

func (p *parser) space() {
	for p.pos < len(p.src) {
		switch p.src[p.pos] {
		case ' ', '\t', '\r', '\n':
			p.pos++
		default:
			return
		}
	}
}

func (p *parser) peek() byte {
	if p.pos < len(p.src) {
		return p.src[p.pos]
	}
	return 0
}

func (p *parser) value() (*node, *Error) {
	n := &node{off: p.pos}
	var err *Error
	switch c := p.peek(); {
	case c == '{':
		err = p.object(n)
	case c == '[':
		err = p.list(n)
	case c == '"':
		n.kind = stringKind
		n.str, err = p.text()
	case c == '-' || c >= '0' && c <= '9':
		n.kind = numberKind
		err = p.number(n)
	default:
		err = p.word(n)
	}
	n.end = p.pos
	return n, err
}

func (p *parser) word(n *node) *Error {
	switch w := leadingWord(p.src[p.pos:]); w {
	case "true", "false":
		n.kind, n.str = boolKind, w
		p.pos += len(w)
	case "null":
		n.kind = nullKind
		p.pos += len(w)
	default:
		return p.fail("a JSON value")
	}
	return nil
}

func (p *parser) enter() *Error {
	if p.depth++; p.depth > p.limit {
		e := p.fail(fmt.Sprintf("at most %d nested objects and lists", p.limit))
		return e
	}
	p.pos++
	p.space()
	return nil
}

func (p *parser) object(n *node) *Error {
	n.kind = objectKind
	if err := p.enter(); err != nil {
		return err
	}
	for p.peek() != '}' {
		if p.peek() != '"' {
			return p.fail(`a member name in quotes or "}"`)
		}
		name, err := p.text()
		if err != nil {
			return err
		}
		p.space()
		if p.peek() != ':' {
			return p.fail(`":" after the member name ` + strconv.Quote(clip(name)))
		}
		p.pos++
		p.space()
		v, err := p.value()
		if err != nil {
			return err
		}
		n.members = append(n.members, member{name, v})
		p.space()
		if p.peek() == ',' {
			p.pos++
			p.space()
			if p.peek() == '}' {
				return p.fail(`a member name after ","`)
			}
			continue
		}
		if p.peek() != '}' {
			return p.fail(`"," or "}" after the member ` + strconv.Quote(clip(name)))
		}
	}
	p.pos++
	p.depth--
	return nil
}

func (p *parser) list(n *node) *Error {
	n.kind = arrayKind
	if err := p.enter(); err != nil {
		return err
	}
	for p.peek() != ']' {
		v, err := p.value()
		if err != nil {
			return err
		}
		n.elems = append(n.elems, v)
		p.space()
		if p.peek() == ',' {
			p.pos++
			p.space()
			if p.peek() == ']' {
				return p.fail(`a list element after ","`)
			}
			continue
		}
		if p.peek() != ']' {
			return p.fail(`"," or "]" after a list element`)
		}
	}
	p.pos++
	p.depth--
	return nil
}

func (p *parser) digits() int {
	start := p.pos
	for p.pos < len(p.src) && p.src[p.pos] >= '0' && p.src[p.pos] <= '9' {
		p.pos++
	}
	return p.pos - start
}

func (p *parser) number(n *node) *Error {
	start := p.pos
	if p.peek() == '-' {
		p.pos++
	}
	zero := p.peek() == '0'
	if d := p.digits(); d == 0 {
		return p.fail("a digit")
	} else if zero && d > 1 {
		p.pos = start
		return p.fail("a number without leading zeros")
	}
	if p.peek() == '.' {
		p.pos++
		if p.digits() == 0 {
			return p.fail("a digit")
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.pos++
		if c := p.peek(); c == '+' || c == '-' {
			p.pos++
		}
		if p.digits() == 0 {
			return p.fail("a digit")
		}
	}
	n.str = string(p.src[start:p.pos])
	return nil
}

// text reads a string. Bytes that are not UTF-8 and lone surrogates become
// U+FFFD, as encoding/json does.
func (p *parser) text() (string, *Error) {
	start := p.pos
	p.pos++
	var b strings.Builder
	for p.pos < len(p.src) {
		c := p.src[p.pos]
		switch {
		case c == '"':
			p.pos++
			return b.String(), nil
		case c == '\\':
			if err := p.escape(&b); err != nil {
				return "", err
			}
		case c < 0x20:
			return "", p.fail("a printable character inside text (control characters need an escape)")
		default:
			r, size := utf8.DecodeRune(p.src[p.pos:])
			b.WriteRune(r)
			p.pos += size
		}
	}
	e := p.fail(`a closing quote`)
	line, col := position(p.src, start)
	e.Expected += fmt.Sprintf(" for the text that starts at line %d, column %d", line, col)
	return "", e
}

func (p *parser) escape(b *strings.Builder) *Error {
	const plain, meant = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if p.pos+1 >= len(p.src) {
		p.pos = len(p.src)
		return p.fail("an escaped character")
	}
	c := p.src[p.pos+1]
	if i := strings.IndexByte(plain, c); i >= 0 {
		b.WriteByte(meant[i])
		p.pos += 2
		return nil
	}
	r, ok := p.unicode(p.pos)
	if !ok {
		return p.fail(`one of the escapes \" \\ \/ \b \f \n \r \t \uXXXX`)
	}
	p.pos += 6
	if utf16.IsSurrogate(r) {
		if low, ok := p.unicode(p.pos); ok {
			if full := utf16.DecodeRune(r, low); full != utf8.RuneError {
				p.pos += 6
				b.WriteRune(full)
				return nil
			}
		}
		r = utf8.RuneError
	}
	b.WriteRune(r)
	return nil
}

// unicode reads the \uXXXX escape at an offset.
func (p *parser) unicode(at int) (rune, bool) {
	if at+6 > len(p.src) || p.src[at] != '\\' || p.src[at+1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(p.src[at+2:at+6]), 16, 16)
	return rune(n), err == nil
}
