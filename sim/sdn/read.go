package sdn

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// maxList bounds every list of a document.
const maxList = 4096

// reading collects the first error of a document.
type reading struct{ err *Error }

func (r *reading) fail(e *Error) {
	if r.err == nil {
		r.err = e
	}
}

// value is a place in a document. Reading what is not there, or not of the
// right kind, notes an error with its path and goes on with a zero value.
type value struct {
	v    any
	ok   bool // it is there
	path string
	r    *reading
}

// describe is what stands at a place, for messages.
func (v value) describe() string {
	if !v.ok {
		return "nothing"
	}
	b, err := json.Marshal(v.v)
	if err != nil {
		return "?"
	}
	if len(b) > 60 {
		return string(b[:57]) + "..."
	}
	return string(b)
}

func (v value) wrong(expected string) { v.r.fail(invalid(v.path, v.describe(), expected)) }

// there reports whether the member is present; null is as good as absent.
func (v value) there() bool { return v.ok && v.v != nil }

// get is a member of an object. The controller's members are in camel case;
// other spellings are taken too, as PowerShell writes them.
func (v value) get(name string) value {
	out := value{path: join(v.path, name), r: v.r}
	if !v.there() {
		return out
	}
	m, ok := v.v.(map[string]any)
	if !ok {
		v.wrong("an object")
		return out
	}
	if x, ok := m[name]; ok {
		out.v, out.ok = x, true
		return out
	}
	var found string
	for k := range m {
		// Of several spellings the smallest, so that order in the map is nothing.
		if strings.EqualFold(k, name) && (found == "" || k < found) {
			found = k
		}
	}
	if found != "" {
		out.v, out.ok, out.path = m[found], true, join(v.path, found)
	}
	return out
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// props is the properties member, which every resource has.
func (v value) props() value { return v.get("properties") }

// list is the elements of a list; absent means none.
func (v value) list() []value {
	if !v.there() {
		return nil
	}
	l, ok := v.v.([]any)
	if !ok {
		v.wrong("a list")
		return nil
	}
	if len(l) > maxList {
		v.r.fail(invalid(v.path, fmt.Sprintf("%d elements", len(l)), fmt.Sprintf("at most %d", maxList)))
		return nil
	}
	out := make([]value, len(l))
	for i := range l {
		out[i] = value{l[i], true, v.path + "[" + strconv.Itoa(i) + "]", v.r}
	}
	return out
}

// text is a string; absent is "".
func (v value) text() string {
	if !v.there() {
		return ""
	}
	s, ok := v.v.(string)
	if !ok {
		v.wrong("a text")
	}
	return s
}

// id is a resourceId.
func (v value) id() string {
	id := v.get("resourceId")
	s := id.text()
	if s == "" || strings.ContainsAny(s, "/ ") {
		id.wrong("a name without slashes and blanks")
	}
	return s
}

// number is an integer, which PowerShell writes as text at times.
func (v value) number(lo, hi, absent int) int {
	if !v.there() {
		return absent
	}
	n, err := 0, error(nil)
	switch x := v.v.(type) {
	case json.Number:
		n, err = strconv.Atoi(x.String())
	case string:
		n, err = strconv.Atoi(x)
	default:
		err = strconv.ErrSyntax
	}
	if err != nil || n < lo || n > hi {
		v.wrong(fmt.Sprintf("a number from %d to %d", lo, hi))
		return lo
	}
	return n
}

// needed notes an error if the member is absent.
func (v value) needed(what string) value {
	if !v.there() {
		v.wrong(what)
	}
	return v
}

// flag is true, false, or "Enabled", "True" and their opposites.
func (v value) flag() bool {
	if !v.there() {
		return false
	}
	switch x := v.v.(type) {
	case bool:
		return x
	case string:
		switch strings.ToLower(x) {
		case "true", "enabled":
			return true
		case "false", "disabled":
			return false
		}
	}
	v.wrong("true or false")
	return false
}

// choice is one of some words, in any case.
func (v value) choice(absent string, words ...string) string {
	if !v.there() {
		return absent
	}
	s, _ := v.v.(string)
	for _, w := range words {
		if strings.EqualFold(s, w) {
			return w
		}
	}
	v.wrong("one of " + strings.Join(words, ", "))
	return absent
}

func (v value) addr() netip.Addr {
	a, err := netip.ParseAddr(v.text())
	if err != nil || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() {
		v.wrong("an address such as 192.168.1.9")
		return netip.Addr{}
	}
	return a.Unmap()
}

func (v value) prefix() netip.Prefix {
	p, err := netip.ParsePrefix(v.text())
	if err != nil || p.Masked() != p {
		v.wrong("a prefix without host bits such as 192.168.1.0/24")
		return netip.Prefix{}
	}
	return p
}

func (v value) prefixes() []netip.Prefix {
	var out []netip.Prefix
	for _, e := range v.list() {
		out = append(out, e.prefix())
	}
	return out
}

// addressSet is "*" or a prefix or an address; several behind commas.
func (v value) addressSet() []netip.Prefix {
	s := v.text()
	if s == "" || s == "*" {
		return nil
	}
	var out []netip.Prefix
	for _, f := range strings.Split(s, ",") {
		f = strings.TrimSpace(f)
		if a, err := netip.ParseAddr(f); err == nil && a.Zone() == "" {
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(f)
		if err != nil {
			v.wrong("* or a prefix such as 192.168.1.0/24")
			return nil
		}
		out = append(out, p.Masked())
	}
	return out
}

// ports is "*", "80", "0-65535" or several of those behind commas; nil is any.
func (v value) ports() []vfp.PortRange {
	if n, ok := v.v.(json.Number); ok {
		v.v = n.String()
	}
	s := v.text()
	if s == "" || s == "*" || s == "0-65535" {
		return nil
	}
	var out []vfp.PortRange
	for _, f := range strings.Split(s, ",") {
		lo, hi, ranged := strings.Cut(strings.TrimSpace(f), "-")
		if !ranged {
			hi = lo
		}
		a, err1 := strconv.ParseUint(lo, 10, 16)
		b, err2 := strconv.ParseUint(hi, 10, 16)
		if err1 != nil || err2 != nil || a > b {
			v.wrong("*, a port or a range such as 0-65535")
			return nil
		}
		out = append(out, vfp.PortRange{Lo: uint16(a), Hi: uint16(b)})
	}
	return out
}

// mac is twelve digits, with or without separators.
func (v value) mac() wire.MAC {
	s := strings.NewReplacer("-", "", ":", "").Replace(v.text())
	var m wire.MAC
	for i := range m {
		if len(s) != 12 {
			break
		}
		b, err := strconv.ParseUint(s[2*i:2*i+2], 16, 8)
		if err != nil {
			s = ""
			break
		}
		m[i] = byte(b)
	}
	if len(s) != 12 || m.IsZero() || m.IsMulticast() {
		v.wrong("a station's MAC address such as 001DD8B7020A")
		return wire.MAC{}
	}
	return m
}

// ref is a reference to a resource of one of the collections, as a path below
// /networking/v1; absent is "".
func (v value) ref(kinds ...string) string {
	if !v.there() {
		return ""
	}
	// Documents name resources as {"resourceRef": "/x/y"}.
	r := v
	if _, ok := v.v.(map[string]any); ok {
		r = v.get("resourceRef")
	}
	p := r.text()
	if r.r.err != nil {
		return ""
	}
	segs, ok := split(p)
	if !ok || !slices.Contains(kinds, kindOf(segs)) {
		r.wrong("a reference such as " + example(kinds[0]))
		return ""
	}
	return canonical(segs)
}

// example is what a reference to a kind looks like.
func example(kind string) string {
	var b strings.Builder
	for i, c := range strings.Split(kind, "/") {
		fmt.Fprintf(&b, "/%s/NAME%d", c, i+1)
	}
	return b.String()
}
