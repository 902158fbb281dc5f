package topology

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hnsim/hnsim/conformance"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

// reader turns JSON values into what they stand for. The first error stays.
type reader struct {
	name string
	src  []byte
	err  error
}

// document reads the whole text.
func (r *reader) document() any {
	var raw json.RawMessage
	if err := json.Unmarshal(r.src, &raw); err != nil {
		offset := len(r.src)
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) { // it counts the byte that is wrong
			offset = int(syntax.Offset)
			if offset > 0 && offset < len(r.src) {
				offset--
			}
		}
		r.err = fmt.Errorf("%s: not JSON: %w", r.position(offset), err)
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(r.src))
	if r.repeated(dec, ""); r.err != nil {
		return nil
	}
	dec = json.NewDecoder(bytes.NewReader(r.src))
	dec.UseNumber()
	var v any
	r.err = dec.Decode(&v)
	return v
}

// repeated looks for keys that an object has twice, of which a decoder keeps
// the last.
func (r *reader) repeated(dec *json.Decoder, path string) {
	open, _ := dec.Token()
	switch open {
	case json.Delim('['):
		for i := 0; dec.More() && r.err == nil; i++ {
			r.repeated(dec, fmt.Sprintf("%s[%d]", path, i))
		}
	case json.Delim('{'):
		seen := map[string]bool{}
		for dec.More() && r.err == nil {
			token, _ := dec.Token()
			key, _ := token.(string)
			at := member(path, key)
			if seen[key] {
				quoted, _ := json.Marshal(key)
				r.err = fmt.Errorf("%s: %s: found the key a second time, expected it once", r.position(int(dec.InputOffset())-len(quoted)), at)
				return
			}
			seen[key] = true
			r.repeated(dec, at)
		}
	default:
		return
	}
	_, _ = dec.Token()
}

// position is the file with the line and the column of a byte.
func (r *reader) position(offset int) string {
	before := r.src[:max(0, min(offset, len(r.src)))]
	return fmt.Sprintf("%s:%d:%d", r.name, 1+bytes.Count(before, []byte("\n")), len(before)-bytes.LastIndexByte(before, '\n'))
}

func member(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// at adds to an error the path that it is about and its place in the file.
func (r *reader) at(path string, err error) error {
	place := r.name
	if line, column, ok := hcn.Locate(r.src, path); ok {
		place = fmt.Sprintf("%s:%d:%d", r.name, line, column)
	}
	if path != "" {
		place += ": " + path
	}
	return fmt.Errorf("%s: %w", place, err)
}

// fail says what is wrong at a path.
func (r *reader) fail(path, format string, args ...any) {
	if r.err == nil {
		r.err = r.at(path, fmt.Errorf(format, args...))
	}
}

// found shows a value in an error.
func found(v any) string {
	switch x := v.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case string:
		return strconv.Quote(x)
	}
	return fmt.Sprint(v)
}

func (r *reader) expected(path string, v any, what string) {
	r.fail(path, "found %s, expected %s", found(v), what)
}

// fields are the keys of an object with what reads their values.
type fields map[string]func(path string, v any)

// object reads an object; keys that are not among fields are errors.
func (r *reader) object(path string, v any, f fields) {
	m, ok := v.(map[string]any)
	if !ok {
		r.expected(path, v, "an object")
		return
	}
	known := slices.Sorted(maps.Keys(f))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		at := member(path, key)
		read, ok := f[key]
		if !ok {
			hint := ""
			if s := conformance.Suggest(key, known); s != "" {
				hint = "; did you mean " + s + "?"
			}
			r.fail(at, "there is no such key: expected %s%s", strings.Join(known, ", "), hint)
			return
		}
		read(at, m[key])
	}
}

// each reads a list.
func (r *reader) each(path string, v any, read func(path string, v any)) {
	list, ok := v.([]any)
	if !ok {
		r.expected(path, v, "a list")
		return
	}
	for i, e := range list {
		read(fmt.Sprintf("%s[%d]", path, i), e)
	}
}

func (r *reader) text(to *string) func(string, any) {
	return func(path string, v any) {
		s, ok := v.(string)
		if !ok || s == "" {
			r.expected(path, v, "a text")
		}
		*to = s
	}
}

func (r *reader) flag(to *bool) func(string, any) {
	return func(path string, v any) {
		b, ok := v.(bool)
		if !ok {
			r.expected(path, v, "true or false")
		}
		*to = b
	}
}

// number reads a whole number between lo and hi.
func number[T int | int64 | uint16 | uint64](r *reader, to *T, lo, hi uint64) func(string, any) {
	return func(path string, v any) {
		n, ok := v.(json.Number)
		u, err := strconv.ParseUint(string(n), 10, 64)
		if !ok || err != nil || u < lo || u > hi {
			what := fmt.Sprintf("a number from %d to %d", lo, hi)
			if hi == math.MaxUint64 {
				what = "a number"
			}
			r.expected(path, v, what)
			return
		}
		*to = T(u)
	}
}

func parsed[T any](r *reader, to *T, parse func(string) (T, error), what string) func(string, any) {
	return func(path string, v any) {
		s, ok := v.(string)
		x, err := parse(s)
		if !ok || err != nil {
			r.expected(path, v, what)
			return
		}
		*to = x
	}
}

func (r *reader) addr(to *netip.Addr) func(string, any) {
	return parsed(r, to, netip.ParseAddr, "an address, such as 10.0.0.1")
}

func (r *reader) mac(to *wire.MAC) func(string, any) {
	return parsed(r, to, wire.ParseMAC, "a MAC address, such as 00-15-5D-00-00-01")
}

func (r *reader) duration(to *time.Duration) func(string, any) {
	return parsed(r, to, func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if d < 0 {
			err = errors.New("negative")
		}
		return d, err
	}, "a time, such as 2ms")
}

func (r *reader) share(to *float64) func(string, any) {
	return parsed(r, to, func(s string) (float64, error) {
		p, ok := strings.CutSuffix(s, "%")
		f, err := strconv.ParseFloat(p, 64)
		if !ok || !(f >= 0 && f <= 100) {
			err = errors.New("no share")
		}
		return f / 100, err
	}, "a share, such as 1%")
}

func (r *reader) prefix(path string, v any) (p netip.Prefix) {
	parsed(r, &p, netip.ParsePrefix, "an address with the length of its prefix, such as 10.0.0.1/24")(path, v)
	return p
}

func (r *reader) prefixes(to *[]netip.Prefix) func(string, any) {
	return func(path string, v any) {
		r.each(path, v, func(path string, v any) { *to = append(*to, r.prefix(path, v)) })
	}
}
