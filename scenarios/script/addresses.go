package script

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// flowText is the "A > B" of a line, its halves still text: what they may hold
// depends on the protocol.
type flowText struct{ src, dst string }

// flow takes "A > B", "A>B" or "> B" if the arguments go on like that.
func (p *parser) flow() (flowText, bool) {
	if !p.more() {
		return flowText{}, false
	}
	first := p.peek()
	if first == ">" {
		p.i++
		return flowText{dst: p.target()}, true
	}
	if p.i+1 < len(p.args) && p.args[p.i+1].text == ">" && !p.args[p.i+1].quoted && first != "" && !isOption(first) {
		p.i += 2
		return flowText{src: first, dst: p.target()}, true
	}
	src, dst, ok := strings.Cut(first, ">")
	if !ok || isOption(first) {
		return flowText{}, false
	}
	p.i++
	if dst == "" {
		dst = p.target()
	}
	return flowText{src, dst}, true
}

// isOption reports whether an argument is name=value; port ranges such as
// *:>=1024 are not.
func isOption(s string) bool {
	name, _, ok := strings.Cut(s, "=")
	return ok && name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == ""
}

func (p *parser) target() string { return p.next("the address behind >") }

// splitHostPort splits "10.0.0.1:53", "[fd00::1]:53", ":53", "*:53", and
// returns hasPort false for an address alone. It does not judge the halves.
func splitHostPort(s string) (host, port string, hasPort bool, err error) {
	if rest, ok := strings.CutPrefix(s, "["); ok {
		host, rest, ok = strings.Cut(rest, "]")
		if !ok {
			return "", "", false, fmt.Errorf("found %s, expected [address]:port", quoteShort(s))
		}
		if rest == "" {
			return host, "", false, nil
		}
		port, ok = strings.CutPrefix(rest, ":")
		if !ok {
			return "", "", false, fmt.Errorf("found %s, expected [address]:port", quoteShort(s))
		}
		return host, port, true, nil
	}
	if strings.Count(s, ":") > 1 {
		return s, "", false, nil // IPv6 without port
	}
	host, port, hasPort = strings.Cut(s, ":")
	return host, port, hasPort, nil
}

// parseAddrPort reads a place to send from or to: address, address:port, :port.
func parseAddrPort(s string, needPort bool) (netip.AddrPort, error) {
	var none netip.AddrPort
	host, port, hasPort, err := splitHostPort(s)
	if err != nil {
		return none, err
	}
	var addr netip.Addr
	if host != "" {
		if addr, err = parseAddr(host); err != nil {
			return none, err
		}
	}
	if needPort && !hasPort {
		return none, fmt.Errorf("found %s, expected address:port", quoteShort(s))
	}
	if host == "" && !hasPort {
		return none, fmt.Errorf("an empty address")
	}
	var n uint16
	if hasPort {
		v, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return none, fmt.Errorf("found port %s, expected a number from 0 to 65535", quoteShort(port))
		}
		n = uint16(v)
	}
	return netip.AddrPortFrom(addr, n), nil
}
