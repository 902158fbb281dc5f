package state

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"github.com/hnsim/hnsim/sim/wire"
)

// anonymizer replaces addresses so that two with a common prefix of n bits
// have a common prefix of n bits afterwards, and no others (the idea of
// Crypto-PAn: every bit is turned or not by a secret function of those before
// it). Subnets, routes and gateways keep their meaning. With one key the same
// address always becomes the same.
type anonymizer struct{ key []byte }

// kept are ranges that mean something by themselves: they stay where they are,
// and nothing else gets there. Inside the private ones only the rest changes;
// in the others (closed) nothing does.
var kept = []struct {
	prefix netip.Prefix
	closed bool
}{
	{netip.MustParsePrefix("0.0.0.0/8"), true}, {netip.MustParsePrefix("127.0.0.0/8"), true}, {netip.MustParsePrefix("224.0.0.0/3"), true},
	{netip.MustParsePrefix("10.0.0.0/8"), false}, {netip.MustParsePrefix("100.64.0.0/10"), false}, {netip.MustParsePrefix("169.254.0.0/16"), false},
	{netip.MustParsePrefix("172.16.0.0/12"), false}, {netip.MustParsePrefix("192.168.0.0/16"), false},
	{netip.MustParsePrefix("::/8"), true}, {netip.MustParsePrefix("ff00::/8"), true},
	{netip.MustParsePrefix("2000::/3"), false}, {netip.MustParsePrefix("fc00::/7"), false}, {netip.MustParsePrefix("fe80::/10"), false},
}

// Anonymize replaces all addresses and MAC addresses in the state, and the
// host's name.
func (s *State) Anonymize(key []byte) error {
	a := anonymizer{key}
	out := &State{Version: s.Version, Build: s.Build, Arch: s.Arch}
	for _, kind := range Kinds {
		for _, o := range s.Objects[kind] {
			if err := out.AddKind(kind, a.text(o.Doc)); err != nil {
				return fmt.Errorf("%s %s: %w", kind, o.ID, err)
			}
		}
	}
	for name, b := range s.Other {
		if out.Other == nil {
			out.Other = map[string]json.RawMessage{}
		}
		out.Other[name] = a.text(b)
	}
	*s = *out
	return nil
}

var (
	literal = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	// Addresses stand at the ends of words: versions such as 10.0.26100.1 have
	// numbers that no address has, or are left to ParseAddr.
	ipv4 = regexp.MustCompile(`\b\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?\b`)
	ipv6 = regexp.MustCompile(`(?i)[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:/\d{1,3})?`)
	mac  = regexp.MustCompile(`(?i)\b[0-9a-f]{2}(?:[-:][0-9a-f]{2}){5}\b`)
)

// text replaces addresses inside the strings of a JSON text, and nothing else.
func (a anonymizer) text(doc []byte) []byte {
	return literal.ReplaceAllFunc(doc, func(s []byte) []byte {
		if bytes.IndexByte(s, '\\') >= 0 {
			return s // paths; an address has nothing to escape
		}
		s = mac.ReplaceAllFunc(s, a.mac)
		s = ipv4.ReplaceAllFunc(s, a.word)
		return ipv6.ReplaceAllFunc(s, func(w []byte) []byte {
			if mac.Match(w) {
				return w
			}
			return a.word(w)
		})
	})
}

func (a anonymizer) word(w []byte) []byte {
	text, bits, isPrefix := strings.Cut(string(w), "/")
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return w
	}
	n := addr.BitLen()
	if isPrefix {
		p, err := netip.ParsePrefix(string(w))
		if err != nil {
			return w
		}
		n = p.Bits() // the host's part stays: HNS refuses what it is not used to
	}
	out := a.addr(addr, n).String()
	if isPrefix {
		out += "/" + bits
	}
	return []byte(out)
}

// addr turns the first n bits.
func (a anonymizer) addr(addr netip.Addr, n int) netip.Addr {
	b := addr.AsSlice()
	out := bytes.Clone(b)
	for i := range n {
		prefix, err := addr.Prefix(i)
		if err != nil || fixed(prefix) {
			continue
		}
		if a.turns(fmt.Sprintf("ip %s", prefix)) {
			out[i/8] ^= 0x80 >> (i % 8)
		}
	}
	r, _ := netip.AddrFromSlice(out)
	return r
}

// fixed reports whether the bit behind a prefix leads to a range that stays.
func fixed(p netip.Prefix) bool {
	for _, k := range kept {
		if k.prefix.Addr().Is4() != p.Addr().Is4() {
			continue
		}
		if p.Bits() < k.prefix.Bits() && p.Overlaps(k.prefix) || k.closed && k.prefix.Bits() <= p.Bits() && k.prefix.Contains(p.Addr()) {
			return true
		}
	}
	return false
}

func (a anonymizer) turns(what string) bool {
	h := hmac.New(sha256.New, a.key)
	h.Write([]byte(what))
	return h.Sum(nil)[0]&1 == 1
}

// macLow are the last bits of a MAC address, which stay: the pools of networks
// are blocks of 4096.
const macLow = 12

// mac keeps the maker (the first three bytes) and the place in a pool.
func (a anonymizer) mac(w []byte) []byte {
	m, err := wire.ParseMAC(string(w))
	if err != nil || m[0]&1 == 1 || m.IsZero() {
		return w
	}
	out := m
	for i := 24; i < 48-macLow; i++ {
		if a.turns(fmt.Sprintf("mac %x %d %x", m[:i/8], i%8, int(m[i/8])>>(8-i%8))) {
			out[i/8] ^= 0x80 >> (i % 8)
		}
	}
	text := out.String()
	if bytes.IndexByte(w, ':') >= 0 {
		text = strings.ReplaceAll(text, "-", ":")
	}
	return []byte(text)
}
