package script

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hnsim/hnsim/sim/wire"
)

// matcher decides whether a field's text, as wire.Describe writes it, is what a
// pattern asks for.
type matcher func(got string) bool

// parseValue reads what stands behind a field's =. All kinds know * (the field
// is there), !x (anything else) and a|b (one of them).
func parseValue(kind fieldKind, text string) (matcher, error) {
	if text == "*" {
		return func(string) bool { return true }, nil
	}
	if rest, ok := strings.CutPrefix(text, "!"); ok {
		m, err := parseValue(kind, rest)
		if err != nil {
			return nil, err
		}
		return func(got string) bool { return !m(got) }, nil
	}
	if strings.Contains(text, "|") {
		var any []matcher
		for _, part := range strings.Split(text, "|") {
			m, err := parseValue(kind, part)
			if err != nil {
				return nil, err
			}
			any = append(any, m)
		}
		return func(got string) bool {
			return slices.ContainsFunc(any, func(m matcher) bool { return m(got) })
		}, nil
	}
	switch kind {
	case numberField:
		return parseNumber(text)
	case addrField:
		return parseAddrValue(text)
	case macField:
		mac, err := parseMAC(text)
		return func(got string) bool { return got == mac.String() }, err
	case tcpFlagsField:
		return parseTCPFlags(text)
	case flagsField:
		if text == "none" {
			return func(got string) bool { return got == "" }, nil
		}
		return func(got string) bool { return slices.Contains(strings.Split(got, ","), text) }, nil
	case protoField:
		return parseProto(text)
	case etherField:
		return parseNamedNumber(text), nil
	case typeField:
		return func(got string) bool {
			number, name, _ := strings.Cut(got, " ")
			return text == number || text == name
		}, nil
	case sumField:
		return parseSum(text)
	}
	return func(got string) bool { return got == text || got == strconv.Quote(text) }, nil
}

// parseNumber reads 5, 0x10, 5-9, >=5, <=5, >5 and <5.
func parseNumber(text string) (matcher, error) {
	lo, hi, ok := numberRange(text)
	if !ok || lo > hi {
		return nil, fmt.Errorf("found %s, expected a number, lo-hi, >=n or <=n", quoteShort(text))
	}
	return func(got string) bool {
		n, ok := leadingNumber(got)
		return ok && n >= lo && n <= hi
	}, nil
}

func numberRange(text string) (lo, hi uint64, ok bool) {
	const top = 1<<64 - 1
	digits := strings.TrimLeft(text, "<>=")
	op := text[:len(text)-len(digits)]
	low, high, isRange := strings.Cut(digits, "-")
	n, err := strconv.ParseUint(low, 0, 64)
	if err != nil || isRange && op != "" {
		return 0, 0, false
	}
	switch op {
	case "":
		lo, hi = n, n
		if isRange {
			hi, err = strconv.ParseUint(high, 0, 64)
		}
		return lo, hi, err == nil
	case ">=":
		return n, top, true
	case "<=":
		return 0, n, true
	case ">":
		return n + 1, top, n < top
	case "<":
		return 0, n - 1, n > 0
	}
	return 0, 0, false
}

// leadingNumber reads the number that a field's text begins with.
func leadingNumber(s string) (uint64, bool) {
	s, _, _ = strings.Cut(s, " ")
	n, err := strconv.ParseUint(s, 0, 64)
	return n, err == nil
}

func parseAddrValue(text string) (matcher, error) {
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("found %s, expected an IP address or prefix", quoteShort(text))
		}
		p = p.Masked()
		return func(got string) bool {
			a, err := netip.ParseAddr(got)
			return err == nil && p.Contains(a)
		}, nil
	}
	want, err := parseAddr(text)
	return func(got string) bool {
		a, err := netip.ParseAddr(got)
		return err == nil && a == want
	}, err
}

// tcpLetters are the flags' letters with the names of wire.Describe.
var tcpLetters = []struct {
	letter byte
	name   string
	bit    uint8
}{
	{'F', "FIN", wire.TCPFin}, {'S', "SYN", wire.TCPSyn}, {'R', "RST", wire.TCPRst}, {'P', "PSH", wire.TCPPsh},
	{'A', "ACK", wire.TCPAck}, {'U', "URG", wire.TCPUrg}, {'E', "ECE", wire.TCPEce}, {'C', "CWR", wire.TCPCwr},
}

// tcpBits reads S, SA, FA, or 0 for none.
func tcpBits(text string) (uint8, error) {
	if text == "0" {
		return 0, nil
	}
	var bits uint8
	for i := range len(text) {
		at := slices.IndexFunc(tcpLetters, func(l struct {
			letter byte
			name   string
			bit    uint8
		}) bool {
			return l.letter == text[i]
		})
		if at < 0 || bits&tcpLetters[at].bit != 0 {
			return 0, fmt.Errorf("found TCP flags %s, expected letters of FSRPAUEC, or 0", quoteShort(text))
		}
		bits |= tcpLetters[at].bit
	}
	if text == "" {
		return 0, fmt.Errorf("no TCP flags: expected letters of FSRPAUEC, or 0")
	}
	return bits, nil
}

// parseTCPFlags reads SA (exactly these) and S+ (at least these).
func parseTCPFlags(text string) (matcher, error) {
	letters, atLeast := strings.CutSuffix(text, "+")
	want, err := tcpBits(letters)
	return func(got string) bool {
		var bits uint8
		for _, l := range tcpLetters {
			if slices.Contains(strings.Split(got, ","), l.name) {
				bits |= l.bit
			}
		}
		return bits == want || atLeast && bits&want == want
	}, err
}

// protoNumbers are the names of protocols that wire.Describe uses.
var protoNumbers = map[string]uint8{
	"hopopts": wire.ProtoHopByHop, "icmp": wire.ProtoICMP, "igmp": wire.ProtoIGMP, "tcp": wire.ProtoTCP, "udp": wire.ProtoUDP,
	"ip6": wire.ProtoIPv6, "routing": wire.ProtoRouting, "frag": wire.ProtoFragment, "gre": wire.ProtoGRE, "esp": wire.ProtoESP,
	"ah": wire.ProtoAH, "icmp6": wire.ProtoICMPv6, "none": wire.ProtoNone, "dstopts": wire.ProtoDestOpts,
}

// protoNumber reads a protocol's name or number.
func protoNumber(text string) (uint8, bool) {
	if n, ok := protoNumbers[text]; ok {
		return n, true
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "proto"), 10, 8)
	return uint8(n), err == nil
}

func parseProto(text string) (matcher, error) {
	want, ok := protoNumber(text)
	if !ok {
		return nil, fmt.Errorf("found %s, expected a protocol such as udp or 132", quoteShort(text))
	}
	return func(got string) bool {
		n, ok := protoNumber(got)
		return ok && n == want
	}, nil
}

// parseNamedNumber compares names as text and numbers as numbers.
func parseNamedNumber(text string) matcher {
	want, isNumber := leadingNumber(text)
	return func(got string) bool {
		n, ok := leadingNumber(got)
		return got == text || isNumber && ok && n == want
	}
}

// parseSum reads none, ok, bad and numbers.
func parseSum(text string) (matcher, error) {
	wrong := func(got string) bool { return strings.Contains(got, "wrong") }
	switch text {
	case "none":
		return func(got string) bool { return got == "none" }, nil
	case "ok":
		return func(got string) bool { return got != "none" && !wrong(got) }, nil
	case "bad":
		return wrong, nil
	}
	m, err := parseNumber(text)
	if err != nil {
		return nil, fmt.Errorf("found %s, expected none, ok, bad or a number", quoteShort(text))
	}
	return m, nil
}
