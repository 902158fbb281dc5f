package hcn

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ParseMAC reads "00-15-5D-52-C0-00" or "00:15:5d:52:c0:00".
func ParseMAC(s string) ([6]byte, error) {
	var mac [6]byte
	ok := len(s) == 17
	for i := 0; ok && i < 6; i++ {
		n, err := strconv.ParseUint(s[3*i:3*i+2], 16, 8)
		mac[i] = byte(n)
		ok = err == nil && (i == 5 || s[3*i+2] == s[2] && (s[2] == '-' || s[2] == ':'))
	}
	if !ok {
		return [6]byte{}, fmt.Errorf("%q is no MAC address: expected six bytes such as 00-15-5D-52-C0-00", s)
	}
	return mac, nil
}

// FormatMAC writes a MAC address the way HNS does: 00-15-5D-52-C0-00.
func FormatMAC(mac [6]byte) string {
	return fmt.Sprintf("%02X-%02X-%02X-%02X-%02X-%02X", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5])
}

// parsePrefix reads an address with a prefix length; a bare address is a
// prefix of its full length where bare is allowed.
func parsePrefix(s string, bare bool) (netip.Prefix, error) {
	if bare && !strings.Contains(s, "/") {
		a, err := parseAddr(s)
		if err != nil {
			return netip.Prefix{}, err
		}
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is no prefix", s)
	}
	return p, nil
}

func parseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" || a.Is4In6() {
		return netip.Addr{}, fmt.Errorf("%q is no address", s)
	}
	return a, nil
}
