package hcn

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// The text lists of policies, parsed. The parsers return plain errors that
// quote the item; validation adds code and path.

// AnyProtocol in an ACL stands for every protocol (contract section 0.6).
const AnyProtocol = 256

// VXLANProtocol in an ACL stands for encapsulated traffic (rule ACL-34).
const VXLANProtocol = 252

// ParseProtocols reads a comma list of protocol numbers. An empty list, and a
// list with 256, mean any protocol: the result is nil.
func ParseProtocols(s string) ([]uint16, error) {
	var out []uint16
	for _, item := range splitList(s) {
		n, err := strconv.ParseUint(item, 10, 16)
		if err != nil || n > AnyProtocol {
			return nil, fmt.Errorf("%q is no protocol number", item)
		}
		if n == AnyProtocol {
			out = nil
			break
		}
		out = append(out, uint16(n))
	}
	return out, nil
}

// PortRange is an inclusive range of ports.
type PortRange struct{ Lo, Hi uint16 }

// ParsePorts reads a comma list of ports and ranges "a-b". An empty list
// means any port.
func ParsePorts(s string) ([]PortRange, error) {
	var out []PortRange
	for _, item := range splitList(s) {
		lo, hi, ranged := strings.Cut(item, "-")
		if !ranged {
			hi = lo
		}
		a, errLo := strconv.ParseUint(strings.TrimSpace(lo), 10, 16)
		b, errHi := strconv.ParseUint(strings.TrimSpace(hi), 10, 16)
		if errLo != nil || errHi != nil || a > b {
			return nil, fmt.Errorf("%q is no port and no range of ports", item)
		}
		out = append(out, PortRange{uint16(a), uint16(b)})
	}
	return out, nil
}

// AddressItem is an entry of an ACL's address list: a prefix, or the id of a
// set when Set is not empty.
type AddressItem struct {
	Prefix netip.Prefix
	Set    string
}

// ParseAddresses reads a comma list of addresses, prefixes and set ids. Words
// that stand for "any" are errors (rule ACL-04): an empty list means any.
// Prefixes come back without host bits.
func ParseAddresses(s string) ([]AddressItem, error) {
	var out []AddressItem
	for _, item := range splitList(s) {
		if p, err := parsePrefix(item, true); err == nil {
			out = append(out, AddressItem{Prefix: p.Masked()})
			continue
		}
		if !looksLikeSetID(item) {
			return nil, fmt.Errorf("%q is no address, prefix or set id", item)
		}
		out = append(out, AddressItem{Set: item})
	}
	return out, nil
}

// looksLikeSetID tells a set id from a mistyped address and from the words
// that people write for "any".
func looksLikeSetID(s string) bool {
	switch strings.ToLower(s) {
	case "any", "all", "*", "none", "localsubnet", "internet":
		return false
	}
	if strings.ContainsAny(s, "/:* ") {
		return false
	}
	onlyDigitsAndDots := strings.Trim(s, "0123456789.") == ""
	return !onlyDigitsAndDots
}

// SetMember is a member of an IP set: a prefix, optionally for one port only.
type SetMember struct {
	Prefix netip.Prefix
	Proto  uint16 // 0: every protocol and port
	Port   uint16
}

// ParseSetValues reads the Values of an IPSET: addresses and prefixes, each
// optionally followed by an item protocol:port that restricts it.
func ParseSetValues(s string) ([]SetMember, error) {
	var out []SetMember
	for _, item := range splitList(s) {
		if p, err := parsePrefix(item, true); err == nil {
			out = append(out, SetMember{Prefix: p.Masked()})
			continue
		}
		proto, port, ok := strings.Cut(item, ":")
		number, known := protocolByText(proto)
		n, err := strconv.ParseUint(port, 10, 16)
		if !ok || !known || err != nil || len(out) == 0 {
			return nil, fmt.Errorf("%q is no address, no prefix and no protocol:port after one", item)
		}
		out[len(out)-1].Proto, out[len(out)-1].Port = number, uint16(n)
	}
	return out, nil
}

func protocolByText(s string) (uint16, bool) {
	if _, n, ok := protocolNames.lookup(s); ok {
		return uint16(n), true
	}
	n, err := strconv.ParseUint(s, 10, 8)
	return uint16(n), err == nil
}

// ACLSetIDs returns the set ids that a policy's rules name: those of an ACL, a
// NetworkACL or a TierAcl, nil for other policies.
func ACLSetIDs(p Policy) ([]string, error) {
	switch p.Type {
	case PolicyACL, PolicyNetworkACL:
		s, err := DecodeSettings[ACLSettings](p)
		if err != nil {
			return nil, err
		}
		return s.SetIDs(), nil
	case PolicyTierACL:
		s, err := DecodeSettings[TierACLSettings](p)
		if err != nil {
			return nil, err
		}
		var out []string
		for i := range s.Rules {
			a := s.Rules[i].ACL(s.Direction)
			out = append(out, a.SetIDs()...)
		}
		return out, nil
	}
	return nil, nil
}

// SetIDs returns the set ids that an ACL names.
func (a *ACLSettings) SetIDs() []string {
	var out []string
	for _, list := range []string{a.LocalAddresses, a.RemoteAddresses} {
		items, err := ParseAddresses(list)
		if err != nil {
			continue
		}
		for _, i := range items {
			if i.Set != "" {
				out = append(out, i.Set)
			}
		}
	}
	return out
}
