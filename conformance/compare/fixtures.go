package compare

import (
	"encoding/json"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/wire"
)

// fixtures are the values that both sides were given: what was asked for must
// come out as it was asked for. Keys are "mac ...", "port 53", "port
// 10.0.0.1:53", "ip-id ...". "twice 10.0.0.1" is an address that two endpoints
// had at one time, so that it names nobody; "owner 10.0.0.1" one that an
// endpoint has, "owner 10.0.0.1 of h1/ID" says which one.
type fixtures map[string]bool

func (f fixtures) port(a netip.AddrPort) {
	if a.Port() != 0 && a.Addr().IsValid() {
		f["port "+a.String()] = true
	}
}

// anyPort fixes a port at every address.
func (f fixtures) anyPort(n uint64) { f["port "+strconv.FormatUint(n, 10)] = true }

func (f fixtures) hasPort(addr string, port uint16) bool {
	n := strconv.Itoa(int(port))
	if f["port "+n] {
		return true
	}
	a, err := netip.ParseAddr(addr)
	return err == nil && f["port "+netip.AddrPortFrom(a, port).String()]
}

// learn takes in what both sides were asked in the same words. What differs
// came from variables, and is not fixed. gone are addresses whose owner was
// deleted.
func (f fixtures) learn(a, b *Call) (gone []string) {
	switch {
	case a.Do != nil && b.Do != nil:
		f.stimulus(a.Do, b.Do)
	case a.Node != nil && b.Node != nil:
		f.node(a.Node, b.Node)
	case a.HCN != nil && b.HCN != nil && string(a.HCN.Body) == string(b.HCN.Body):
		f.document(a.HCN.Body)
	}
	if a.HCN != nil && a.HCN.Kind == "endpoint" && a.Err == nil {
		switch a.HCN.Verb {
		case "create":
			f.own(a.HCN.Host+"/"+a.Result.ID, a.Result.Document)
		case "delete":
			return f.disown(a.HCN.Host + "/" + a.HCN.ID)
		}
	}
	return nil
}

// shared reports whether an address names nobody: two endpoints have it, or
// everybody does.
func (f fixtures) shared(addr string) bool {
	a, err := netip.ParseAddr(addr)
	return f["twice "+addr] || err == nil && a.IsLoopback()
}

// own notes the addresses of an endpoint.
func (f fixtures) own(endpointID string, doc []byte) {
	var endpoint struct{ IpConfigurations []struct{ IpAddress string } }
	if json.Unmarshal(doc, &endpoint) != nil {
		return
	}
	for _, c := range endpoint.IpConfigurations {
		owner := "owner " + c.IpAddress
		f["twice "+c.IpAddress] = f["twice "+c.IpAddress] || f[owner]
		f[owner], f[owner+ownedBy+strings.ToLower(endpointID)] = true, true
	}
}

const ownedBy = " of "

// disown forgets who had the addresses of an endpoint that is gone, and returns
// them: the next one that gets them is their only owner again.
func (f fixtures) disown(endpointID string) (gone []string) {
	for key := range f {
		if owner, ok := strings.CutSuffix(key, ownedBy+strings.ToLower(endpointID)); ok {
			delete(f, key)
			delete(f, owner)
			gone = append(gone, strings.TrimPrefix(owner, "owner "))
		}
	}
	return gone
}

func (f fixtures) node(a, b *backends.Node) {
	for i := range min(len(a.Ifaces), len(b.Ifaces)) {
		if m := a.Ifaces[i].MAC; m == b.Ifaces[i].MAC && !m.IsZero() {
			f["mac "+m.String()] = true
		}
	}
}

func (f fixtures) stimulus(a, b *backends.Stimulus) {
	if a.Dst == b.Dst {
		f.port(a.Dst)
	}
	if a.Src == b.Src {
		f.port(a.Src)
		if a.Kind == backends.Listen || a.Kind == backends.Bind {
			f.anyPort(uint64(a.Src.Port()))
		}
	}
	if a.IPID == b.IPID && a.IPID != 0 {
		f["ip-id "+strconv.Itoa(int(a.IPID))] = true
	}
	if a.ICMPSeq == b.ICMPSeq && a.ICMPSeq != 0 {
		f["echo-seq "+strconv.Itoa(int(a.ICMPSeq))] = true
	}
	if string(a.Frame) == string(b.Frame) {
		f.frame(a.Frame)
	}
}

// forgetNumbers ends what was asked for of identifications and sequence
// numbers: it is about the packets of one line. Elsewhere the same number is
// somebody's own.
func (f fixtures) forgetNumbers() {
	for key := range f {
		if strings.HasPrefix(key, "ip-id ") || strings.HasPrefix(key, "echo-seq ") {
			delete(f, key)
		}
	}
}

// frame fixes what stands in a raw frame.
func (f fixtures) frame(frame []byte) {
	for _, l := range wire.Describe(frame) {
		for _, field := range l.Fields {
			if m, err := wire.ParseMAC(field.Value); err == nil && field.Len == 6 {
				f["mac "+m.String()] = true
			}
		}
	}
	var m wire.Meta
	if wire.Parse(frame, &m) == wire.OK && m.HasL4 {
		f.port(netip.AddrPortFrom(m.Src(frame), m.SrcPort))
		f.port(netip.AddrPortFrom(m.Dst(frame), m.DstPort))
	}
}

var macInText = regexp.MustCompile(`(?i)[0-9a-f]{2}([-:][0-9a-f]{2}){5}`)

// document fixes the numbers and MAC addresses of a document.
func (f fixtures) document(body []byte) {
	for _, text := range macInText.FindAllString(string(body), -1) {
		if m, err := wire.ParseMAC(text); err == nil {
			f["mac "+m.String()] = true
		}
	}
	var tree any
	if json.Unmarshal(body, &tree) == nil {
		f.values(tree)
		f.vxlan(tree)
	}
}

// vxlan notes the port of a VxlanPort policy: packets to it are tunnels.
func (f fixtures) vxlan(v any) {
	switch v := v.(type) {
	case map[string]any:
		settings, _ := v["Settings"].(map[string]any)
		if port, ok := settings["Port"].(float64); ok && v["Type"] == "VxlanPort" {
			f["vxlan "+strconv.Itoa(int(port))] = true
		}
		for _, m := range v {
			f.vxlan(m)
		}
	case []any:
		for _, m := range v {
			f.vxlan(m)
		}
	}
}

// decoder knows the tunnels of the scenario.
func (f fixtures) decoder(m *wire.Meta) wire.Decoder {
	if f["vxlan "+strconv.Itoa(int(m.DstPort))] {
		return wire.Decoder{VXLANPort: m.DstPort}
	}
	return wire.Decoder{}
}

// values fixes the numbers, texts and names of members in a document.
func (f fixtures) values(v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, m := range v {
			f["member "+strings.ToLower(name)] = true
			f.values(m)
		}
	case []any:
		for _, m := range v {
			f.values(m)
		}
	case float64:
		f.anyPort(uint64(v))
	case string: // "80", "80,8080", "8000-8100", a prefix
		f["text "+v] = true
		for _, part := range strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == '-' }) {
			if n, err := strconv.ParseUint(part, 10, 16); err == nil {
				f.anyPort(n)
			}
		}
	}
}
