package script

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/hnsim/hnsim/sim/wire"
)

// op is a parsed line, ready to run.
type op func(*run) error

// word is one word of the language.
type word struct {
	name    string
	group   string // heading in the reference
	args    string // synopsis
	summary string
	detail  []string
	example string
	// refusable words may have ! in front: they can be refused by what is
	// tested. A bad file is an error with or without it.
	refusable bool
	// acts words can make packets move: they begin or continue a stimulus.
	acts bool
	// checks words look at what happened: the next act begins a new stimulus.
	checks bool
	needs  []string // requirements that follow from use, "capability:drops"
	// quiet words leave stdout and stderr as they are.
	quiet bool
	parse func(*parser) op
}

// parser takes the arguments of one line apart. Its first error sticks: later
// calls return zero values, so that words read as their grammar does.
type parser struct {
	word *word
	args []arg
	i    int
	sc   *scope
	line *line
	err  error
}

func (p *parser) errorf(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

func (p *parser) check(err error) {
	if err != nil && p.err == nil {
		p.err = err
	}
}

func (p *parser) more() bool { return p.err == nil && p.i < len(p.args) }

// peek is the next argument if it is not quoted text, else "".
func (p *parser) peek() string {
	if p.more() && !p.args[p.i].quoted {
		return p.args[p.i].text
	}
	return ""
}

// accept takes the next argument if it is that word.
func (p *parser) accept(text string) bool {
	if p.peek() != text {
		return false
	}
	p.i++
	return true
}

// next takes the next argument; what names it in the error if it is missing.
func (p *parser) next(what string) string {
	if !p.more() {
		p.errorf("%s is missing; usage: %s %s", what, p.word.name, p.word.args)
		return ""
	}
	p.i++
	return p.args[p.i-1].text
}

// rest takes all that is left, as text.
func (p *parser) rest() string {
	var out []string
	for p.more() {
		out = append(out, p.next(""))
	}
	return strings.Join(out, " ")
}

func (p *parser) end() {
	if p.more() {
		p.errorf("unexpected %s; usage: %s %s", quoteShort(p.args[p.i].raw), p.word.name, p.word.args)
	}
}

func (p *parser) role(what string, kinds ...kind) (string, *name) {
	who := p.next(what)
	if p.err != nil {
		return "", &name{}
	}
	n, err := p.sc.role(who, kinds...)
	p.check(err)
	if err != nil {
		n = &name{}
	}
	return who, n
}

func (p *parser) object(k kind) (string, *name) {
	who := p.next("the " + string(k) + "'s name")
	if p.err != nil {
		return "", &name{}
	}
	n, err := p.sc.object(k, who)
	p.check(err)
	if err != nil {
		n = &name{}
	}
	return who, n
}

// objectKind takes network, endpoint, namespace, loadbalancer or route.
func (p *parser) objectKind(kinds ...kind) kind {
	text := p.next("what it is")
	var names []string
	for _, k := range kinds {
		if text == string(k) {
			return k
		}
		names = append(names, string(k))
	}
	p.errorf("found %s, expected %s%s", quoteShort(text), strings.Join(names, ", "), didYouMean(text, names))
	return ""
}

// file takes the name of a file of the archive.
func (p *parser) file(what string) *file {
	who := p.next(what)
	if p.err != nil {
		return &file{}
	}
	return p.namedFile(who)
}

func (p *parser) namedFile(who string) *file {
	if f, ok := p.sc.files[who]; ok {
		if p.sc.static { // runs share the scenario and must not write to it
			f.used = true
		}
		return f
	}
	var names []string
	for n := range p.sc.files {
		names = append(names, n)
	}
	p.errorf("no file %s in this scenario%s", quoteShort(who), didYouMean(who, sorted(names)))
	return &file{}
}

// attr is a name=value argument, or a flag.
type attr struct {
	name string // "ttl"; "outer." takes every name that begins so
	flag bool
	many bool // may be repeated
	set  func(value string) error
}

// attributes takes all that is left. text, if not nil, takes quoted text.
func (p *parser) attributes(text func(string) error, attrs ...attr) {
	seen := map[string]bool{}
	for p.more() {
		a := p.args[p.i]
		p.i++
		if a.quoted {
			if text == nil || seen["'"] {
				p.errorf("unexpected text %s; usage: %s %s", quoteShort(a.text), p.word.name, p.word.args)
				return
			}
			seen["'"] = true
			p.check(text(a.text))
			continue
		}
		p.attribute(a.text, attrs, seen)
	}
}

func (p *parser) attribute(text string, attrs []attr, seen map[string]bool) {
	name, value, hasValue := strings.Cut(text, "=")
	at := findAttr(attrs, name)
	if at == nil {
		var names []string
		for _, a := range attrs {
			names = append(names, a.name)
		}
		if len(names) == 0 {
			p.errorf("unexpected %s; usage: %s %s", quoteShort(text), p.word.name, p.word.args)
			return
		}
		p.errorf("unknown option %s%s; %s takes %s", quoteShort(name), didYouMean(name, names), p.word.name, strings.Join(names, ", "))
		return
	}
	switch {
	case at.flag && hasValue:
		p.errorf("%s takes no value", name)
	case !at.flag && (!hasValue || value == ""):
		p.errorf("%s has no value: expected %s=...", name, name)
	case seen[name] && !at.many:
		p.errorf("%s is given twice", name)
	}
	seen[name] = true
	if p.err != nil {
		return
	}
	if strings.HasSuffix(at.name, ".") {
		value = strings.TrimPrefix(name, at.name) + "=" + value
	}
	if err := at.set(value); err != nil {
		p.errorf("%s: %w", name, err)
	}
}

func findAttr(attrs []attr, name string) *attr {
	for i := range attrs {
		a := &attrs[i]
		if a.name == name || strings.HasSuffix(a.name, ".") && strings.HasPrefix(name, a.name) && name != a.name {
			return a
		}
	}
	return nil
}

// The functions below make the set function of an attr.

func toFlag(dst *bool) func(string) error {
	return func(string) error { *dst = true; return nil }
}

func toString(dst *string) func(string) error {
	return func(v string) error { *dst = v; return nil }
}

func toUint[T uint8 | uint16 | uint32 | int](dst *T, maximum uint64) func(string) error {
	return func(v string) error {
		n, err := strconv.ParseUint(v, 0, 64)
		if err != nil || n > maximum {
			return fmt.Errorf("found %s, expected a number from 0 to %d", quoteShort(v), maximum)
		}
		*dst = T(n)
		return nil
	}
}

func toMAC(dst *wire.MAC) func(string) error {
	return func(v string) (err error) { *dst, err = parseMAC(v); return err }
}

func parseMAC(v string) (wire.MAC, error) {
	switch v {
	case "broadcast", "bcast":
		return wire.Broadcast, nil
	}
	return wire.ParseMAC(v)
}

func toAddr(dst *netip.Addr) func(string) error {
	return func(v string) (err error) { *dst, err = parseAddr(v); return err }
}

func parseAddr(v string) (netip.Addr, error) {
	a, err := netip.ParseAddr(v)
	if err != nil {
		return a, fmt.Errorf("found %s, expected an IP address", quoteShort(v))
	}
	return a, nil
}

func parsePrefix(v string) (netip.Prefix, error) {
	a, err := netip.ParsePrefix(v)
	if err != nil {
		return a, fmt.Errorf("found %s, expected an address with prefix length such as 10.0.0.1/24", quoteShort(v))
	}
	return a, nil
}

// maxDuration bounds waits: virtual time is free, but not a reason for typos.
const maxDuration = 30 * 24 * time.Hour

func toDuration(dst *time.Duration) func(string) error {
	return func(v string) (err error) { *dst, err = parseDuration(v); return err }
}

func parseDuration(v string) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 || d > maxDuration {
		return 0, fmt.Errorf("found %s, expected a time such as 241s or 4m, at most 720h", quoteShort(v))
	}
	return d, nil
}

// toShare reads 1% or 0.01.
func toShare(dst *float64) func(string) error {
	return func(v string) error {
		number, percent := strings.CutSuffix(v, "%")
		f, err := strconv.ParseFloat(number, 64)
		if percent {
			f /= 100
		}
		if err != nil || !(f >= 0 && f <= 1) {
			return fmt.Errorf("found %s, expected a share such as 1%% or 0.01", quoteShort(v))
		}
		*dst = f
		return nil
	}
}

// toRate reads bits per second: 10M, 1.5G, 64k or plain.
func toRate(dst *int64) func(string) error {
	return func(v string) error {
		factor := 1.0
		number := v
		for suffix, f := range map[string]float64{"k": 1e3, "M": 1e6, "G": 1e9} {
			if n, ok := strings.CutSuffix(v, suffix); ok {
				number, factor = n, f
			}
		}
		f, err := strconv.ParseFloat(number, 64)
		if err != nil || !(f >= 0 && f*factor < 1e13) {
			return fmt.Errorf("found %s, expected bits per second such as 10M", quoteShort(v))
		}
		*dst = int64(f * factor)
		return nil
	}
}

// maxPayload is what fits an IPv4 UDP datagram.
const maxPayload = 65507

// payload reads 'text' (already unquoted), hex:0102, @file or size=N text.
func (p *parser) payload(v string) ([]byte, error) {
	var out []byte
	switch {
	case strings.HasPrefix(v, "hex:"):
		b, err := parseHex(v[len("hex:"):])
		if err != nil {
			return nil, err
		}
		out = b
	case strings.HasPrefix(v, "@"):
		out = []byte(p.namedFile(v[1:]).data)
	default:
		out = []byte(v)
	}
	if len(out) > maxPayload {
		return nil, fmt.Errorf("%d bytes of payload, at most %d fit", len(out), maxPayload)
	}
	return out, nil
}

// parseHex reads hexadecimal with blanks, colons and # comments in between.
func parseHex(s string) ([]byte, error) {
	var digits strings.Builder
	for _, l := range strings.Split(s, "\n") {
		l, _, _ = strings.Cut(l, "#")
		for _, c := range []byte(l) {
			if strings.IndexByte(" \t\r:", c) < 0 {
				digits.WriteByte(c)
			}
		}
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		return nil, fmt.Errorf("found %s, expected bytes in hexadecimal", quoteShort(firstLine(s)))
	}
	return b, nil
}

// filler is n bytes that show where they are in a payload.
func filler(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(i%26)
	}
	return b
}
