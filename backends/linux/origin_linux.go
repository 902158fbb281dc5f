package linux

import (
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

// VFP translates in the switch: a packet keeps its hop limit and the MAC address
// of whoever sent it. Here the host's stack translates, and puts its own address
// there. So the bridge notes in the mark who sent a frame; what the stack gives
// back to a port carries the note as an alias address, and the rules of the port
// write the real one.

// Bits of marks in a host. What is above them is the number of a MAC address.
const (
	diverted  = 1 // bridge rules led it into the host's stack to have it translated
	answered  = 2 // a request that a rule has turned into its answer
	asItCame  = 4 // the switch translates it, not the host
	originBit = 8 // the first bit of the number
)

// aliasPrefix begins the addresses that stand for the sender's own.
var aliasPrefix = []byte{0x02, 0x00, 0x00, 0x02}

func aliasOf(number int) wire.MAC {
	return wire.MAC{aliasPrefix[0], aliasPrefix[1], aliasPrefix[2], aliasPrefix[3], byte(number >> 8), byte(number)}
}

func originMark(number int) []byte {
	return binaryutil.NativeEndian.PutUint32(uint32(number) << originBit)
}

// origins are the MAC addresses that frames of the host's switches may come
// from. A place in the list is a number.
func (h *host) origins() []wire.MAC {
	var out []wire.MAC
	for _, p := range h.sortedPorts() {
		out = append(out, p.e.mac)
	}
	for _, e := range h.store.endpoints {
		if e.remote && !e.mac.IsZero() {
			out = append(out, e.mac)
		}
	}
	for _, n := range h.store.networks {
		for _, r := range n.remoteRoutes() {
			out = append(out, r.mac)
		}
	}
	for _, name := range h.w.order {
		for _, c := range h.w.nodes[name].nics {
			out = append(out, c.mac)
		}
	}
	slices.SortFunc(out, func(a, b wire.MAC) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(out)
}

// Names of the maps below.
const (
	numberMap = "sender-number"
	aliasMap  = "sender-alias"
	senderMap = "sender"
)

// numbers maps addresses to marks, aliases marks to aliases, senders aliases to
// addresses.
func numbers(macs []wire.MAC) translation {
	t := translation{name: numberMap, from: nftables.TypeEtherAddr, to: nftables.TypeMark}
	for i, m := range macs {
		t.elements = append(t.elements, nftables.SetElement{Key: slices.Clone(m[:]), Val: originMark(i + 1)})
	}
	return t
}

func aliases(macs []wire.MAC) translation {
	t := translation{name: aliasMap, from: nftables.TypeMark, to: nftables.TypeEtherAddr}
	for i := range macs {
		alias := aliasOf(i + 1)
		t.elements = append(t.elements, nftables.SetElement{Key: originMark(i + 1), Val: alias[:]})
	}
	return t
}

func senders(macs []wire.MAC) translation {
	t := translation{name: senderMap, from: nftables.TypeEtherAddr, to: nftables.TypeEtherAddr}
	for i, m := range macs {
		alias := aliasOf(i + 1)
		t.elements = append(t.elements, nftables.SetElement{Key: alias[:], Val: slices.Clone(m[:])})
	}
	return t
}

// translation is a map of a table.
type translation struct {
	name     string
	from, to nftables.SetDatatype
	elements []nftables.SetElement
}

func (m translation) addTo(c *nftables.Conn, t *nftables.Table) error {
	return c.AddSet(&nftables.Set{Table: t, Name: m.name, IsMap: true, KeyType: m.from, DataType: m.to}, m.elements)
}

func lookup(name string) expr.Any {
	return &expr.Lookup{SourceRegister: 1, DestRegister: 1, IsDestRegSet: true, SetName: name}
}

// writeSource puts what the register holds into the frame.
func writeSource() expr.Any {
	return &expr.Payload{OperationType: expr.PayloadWrite, SourceRegister: 1, Base: link, Offset: 6, Len: 6}
}

// noteOrigin begins the rules of the bridges. What the router of an overlay
// network passes on comes from it (rule OV-05).
func (h *host) noteOrigin(pre *chain) {
	pre.add(setMark(0))
	pre.add(rule{load(link, 6, 6), lookup(numberMap), &expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1}})
	for _, n := range h.store.networks {
		if n.kind != hcn.Overlay {
			continue
		}
		for _, dev := range h.devices(n) {
			pre.add(iif(dev), ethDst(n.drMAC), setMark(0))
			pre.add(iif(dev), ethDst(divertMAC), setMark(0))
			for _, b := range h.balanced() {
				if b.net == n && !b.direct() && b.source().IsValid() {
					pre.add(iif(dev), ipDst(single(b.source())), setMark(0)) // answers to a SourceVIP
				}
			}
		}
	}
}

// toPorts writes aliases into what the host's stack gives to ports.
func (h *host) toPorts() *chain {
	out := &chain{name: "output", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookOutput, prio: *nftables.ChainPriorityFilter}
	for _, p := range h.sortedPorts() {
		out.add(oif(p.dev), marked(asItCame), rule{&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
			&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(^uint32(1<<originBit - 1)), Xor: make([]byte, 4)},
			lookup(aliasMap), writeSource()})
	}
	for _, p := range h.sortedPorts() {
		for _, own := range h.sortedPorts() {
			if own.in == h.space && own.e.net == p.e.net && own != p && p.e.net.kind == hcn.L2Bridge {
				// The host speaks by its endpoint (rule L2B-10).
				out.add(oif(p.dev), ethSrc(p.e.net.hostMAC), notMarked(asItCame), toEthSrc(own.e.mac))
			}
		}
	}
	return out
}

// byService notes what the host itself sends to an address of a load balancer: it
// leaves by the adapter, and the switch translates it.
func (h *host) byService() *chain {
	out := &chain{name: "output", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookOutput, prio: *nftables.ChainPriorityFilter}
	for _, b := range h.balanced() {
		for _, f := range b.fronts(h.publicAddresses()) {
			if !h.owns(f.vip) {
				number := slices.Index(h.origins(), b.net.hostMAC) + 1
				out.add(ctStatus(dstNAT), askedFor(f.vip), original(), setMark(asItCame|uint32(number)<<originBit))
			}
		}
	}
	return out
}

// fromHost matches, in a port, what comes under an alias, writeSender takes the
// alias away.
func fromHost() rule { return on(iif("down"), payload(link, 6, aliasPrefix)) }
func writeSender() rule {
	return on(fromHost(), rule{load(link, 6, 6), lookup(senderMap), writeSource()})
}

// keepAsItCame gives back the hop that the routed path takes, and has the
// sender's address kept.
func keepAsItCame() rule { return on(oneHopMore(), setBits(asItCame)) }

// setBits adds bits to the packet's mark.
func setBits(bits uint32) rule {
	return rule{&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(^bits), Xor: binaryutil.NativeEndian.PutUint32(bits)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1}}
}
