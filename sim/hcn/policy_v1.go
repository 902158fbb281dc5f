package hcn

import (
	"encoding/json"
	"strconv"
	"strings"
)

// v1Form maps a policy between the v1 form, with settings inline, and the v2
// form (section B.10). Members that no rename names keep their names.
type v1Form struct {
	name    string
	v2      PolicyType
	renames [][2]string // v1 name, v2 name
	// fromV1 and toV1 convert what a rename cannot.
	fromV1, toV1 func(Extras) Extras
}

var v1Forms = []v1Form{
	{name: "NAT", v2: PolicyPortMapping, fromV1: natFromV1, toV1: natToV1},
	{name: "PA", v2: PolicyProviderAddress, renames: [][2]string{{"PA", "ProviderAddress"}}},
	{name: "OutBoundNAT", v2: PolicyOutBoundNAT, renames: [][2]string{{"VIP", "VirtualIP"}, {"ExceptionList", "Exceptions"}}},
	{name: "ROUTE", v2: PolicySDNRoute},
	{name: "PROXY", v2: PolicyL4Proxy, renames: [][2]string{{"ExceptionList", "Exceptions"}, {"OutboundNat", "OutboundNAT"}}},
	{name: "VLAN", v2: PolicyVLAN, renames: [][2]string{{"VLAN", "IsolationId"}}},
	{name: "VSID", v2: PolicyVSID, renames: [][2]string{{"VSID", "IsolationId"}}},
	{name: "ACL", v2: PolicyACL, fromV1: aclFromV1},
}

func v1FormByName(name string) *v1Form {
	for i := range v1Forms {
		if equalFold(v1Forms[i].name, name) {
			return &v1Forms[i]
		}
	}
	return nil
}

func v1FormByType(t PolicyType) *v1Form {
	for i := range v1Forms {
		if v1Forms[i].v2 == t {
			return &v1Forms[i]
		}
	}
	return nil
}

// v1Settings makes the settings object of a policy from inline members.
func v1Settings(t PolicyType, inline Extras) json.RawMessage {
	if f := v1FormByType(t); f != nil {
		inline = renameMembers(inline, f.renames, 0, 1)
		if f.fromV1 != nil {
			inline = f.fromV1(inline)
		}
	}
	var w writer
	w.object(func() { w.extras(inline) })
	return w.bytes()
}

// v1Policy returns the v1 name and inline members. It reports false when the
// policy cannot be written inline without loss; the v2 form is used then.
func v1Policy(p *Policy) (string, Extras, bool) {
	name, form := string(p.Type), v1FormByType(p.Type)
	if form != nil {
		name = form.name
	}
	if len(p.Extras) > 0 {
		return "", nil, false
	}
	if p.Settings == nil {
		return name, nil, true
	}
	n, err := parse(p.Settings)
	if err != nil || n.kind != objectKind || len(n.members) == 0 {
		return "", nil, false
	}
	d := &decoder{src: p.Settings}
	var members Extras
	for _, m := range n.members {
		if equalFold(m.name, "Type") || equalFold(m.name, "Settings") {
			return "", nil, false
		}
		members = setExtra(members, m.name, d.raw(m.val))
	}
	if form != nil {
		members = renameMembers(members, form.renames, 1, 0)
		if form.toV1 != nil {
			members = form.toV1(members)
		}
	}
	return name, members, true
}

func renameMembers(list Extras, renames [][2]string, from, to int) Extras {
	var out Extras
	for _, m := range list {
		for _, r := range renames {
			if equalFold(m.Name, r[from]) {
				m.Name = r[to]
				break
			}
		}
		out = setExtra(out, m.Name, m.Value)
	}
	return out
}

func jsonString(s string) json.RawMessage {
	var w writer
	w.str(s)
	return w.bytes()
}

// unquote returns the text of a JSON string.
func unquote(raw json.RawMessage) (string, bool) {
	n, err := parse(raw)
	if err != nil || n.kind != stringKind {
		return "", false
	}
	return n.str, true
}

// natFromV1 turns Protocol "TCP" into 6, and ExternalPortReserved into a flag.
func natFromV1(list Extras) Extras {
	var out Extras
	reserved := false
	for _, m := range list {
		switch {
		case equalFold(m.Name, "Protocol"):
			if text, ok := unquote(m.Value); ok {
				if _, num, known := protocolNames.lookup(text); known {
					m.Value = json.RawMessage(strconv.FormatInt(num, 10))
				}
			}
		case equalFold(m.Name, "ExternalPortReserved"):
			if b := string(m.Value); b == "true" || b == "false" {
				reserved = b == "true"
				continue
			}
		}
		out = append(out, m)
	}
	if reserved {
		flags := uint64(NatExternalPortReserved)
		if old, ok := out.Get("Flags"); ok {
			if n, err := strconv.ParseUint(string(old), 10, 32); err == nil {
				flags |= n
			}
		}
		out = setExtra(out, "Flags", json.RawMessage(strconv.FormatUint(flags, 10)))
	}
	return out
}

func natToV1(list Extras) Extras {
	var out Extras
	reserved := false
	for _, m := range list {
		switch {
		case equalFold(m.Name, "Protocol"):
			if n, err := strconv.ParseInt(string(m.Value), 10, 64); err == nil {
				if text, ok := protocolNames.text(n); ok {
					m.Value = jsonString(text)
				}
			}
		case equalFold(m.Name, "Flags"):
			n, err := strconv.ParseUint(string(m.Value), 10, 32)
			if err == nil && n&uint64(NatExternalPortReserved) != 0 {
				reserved = true
				if n &^= uint64(NatExternalPortReserved); n == 0 {
					continue
				}
				m.Value = json.RawMessage(strconv.FormatUint(n, 10))
			}
		}
		out = append(out, m)
	}
	if reserved {
		out = setExtra(out, "ExternalPortReserved", json.RawMessage("true"))
	}
	return out
}

// aclFromV1 moves the single Protocol, LocalPort and RemotePort of old clients
// into the lists, unless a list is there already. 0 is "not given".
func aclFromV1(list Extras) Extras {
	var out Extras
	for _, m := range list {
		for _, pair := range [][2]string{{"Protocol", "Protocols"}, {"LocalPort", "LocalPorts"}, {"RemotePort", "RemotePorts"}} {
			if !equalFold(m.Name, pair[0]) {
				continue
			}
			n, err := strconv.ParseUint(string(m.Value), 10, 16)
			if err != nil {
				break
			}
			if _, has := list.Get(pair[1]); has || n == 0 {
				m.Name = ""
				break
			}
			m = Member{pair[1], jsonString(strconv.FormatUint(n, 10))}
			break
		}
		if m.Name != "" {
			out = setExtra(out, m.Name, m.Value)
		}
	}
	return out
}

// splitList splits comma text, trimming blanks and dropping empty items.
func splitList(s string) []string {
	var out []string
	for _, item := range strings.Split(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}
