package linux

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/hnsim/hnsim/sim/wire"
)

// A rule is a row of expressions: conditions, then what to do.
type rule []expr.Any

// on joins parts to a rule.
func on(parts ...rule) rule {
	var r rule
	for _, p := range parts {
		r = append(r, p...)
	}
	return r
}

// dropGroup is the NFLOG group that every dropped packet goes to.
const dropGroup = 7

func equal(data []byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data}
}

func meta(key expr.MetaKey, data []byte) rule {
	return rule{&expr.Meta{Key: key, Register: 1}, equal(data)}
}

func ifname(name string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b
}

func iif(name string) rule { return meta(expr.MetaKeyIIFNAME, ifname(name)) }
func oif(name string) rule { return meta(expr.MetaKeyOIFNAME, ifname(name)) }

func notIIF(name string) rule {
	return rule{&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: ifname(name)}}
}

func notOIF(name string) rule {
	return rule{&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1}, &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: ifname(name)}}
}

// notARP matches everything but ARP.
func notARP() rule {
	return rule{&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1}, &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: be16(unix.ETH_P_ARP)}}
}

func etherType(t uint16) rule { return meta(expr.MetaKeyPROTOCOL, be16(t)) }
func l4proto(p uint8) rule    { return meta(expr.MetaKeyL4PROTO, []byte{p}) }

// marked matches packets whose mark has a bit, notMarked all others.
func marked(bit uint32) rule    { return markBit(bit, expr.CmpOpNeq) }
func notMarked(bit uint32) rule { return markBit(bit, expr.CmpOpEq) }

func markBit(bit uint32, op expr.CmpOp) rule {
	return rule{&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(bit), Xor: make([]byte, 4)},
		&expr.Cmp{Op: op, Register: 1, Data: make([]byte, 4)}}
}

// ctMark is the mark of a connection.
func ctMark(v uint32) rule {
	return rule{&expr.Ct{Key: expr.CtKeyMARK, Register: 1}, equal(binaryutil.NativeEndian.PutUint32(v))}
}

func setCtMark(v uint32) rule {
	return rule{&expr.Immediate{Register: 1, Data: binaryutil.NativeEndian.PutUint32(v)},
		&expr.Ct{Key: expr.CtKeyMARK, Register: 1, SourceRegister: true}}
}

// setMark sets the packet's mark, which the rules use as a note to later hooks.
func setMark(v uint32) rule {
	return rule{&expr.Immediate{Register: 1, Data: binaryutil.NativeEndian.PutUint32(v)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1}}
}

func be16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }

func load(base expr.PayloadBase, off, n uint32) expr.Any {
	return &expr.Payload{DestRegister: 1, Base: base, Offset: off, Len: n}
}

func payload(base expr.PayloadBase, off uint32, data []byte) rule {
	return rule{load(base, off, uint32(len(data))), equal(data)}
}

func notPayload(base expr.PayloadBase, off uint32, data []byte) rule {
	return rule{load(base, off, uint32(len(data))), &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: data}}
}

// write puts bytes into the frame; nothing there has a checksum.
func write(base expr.PayloadBase, off uint32, data []byte) rule {
	return rule{&expr.Immediate{Register: 1, Data: data},
		&expr.Payload{OperationType: expr.PayloadWrite, SourceRegister: 1, Base: base, Offset: off, Len: uint32(len(data))}}
}

const (
	link      = expr.PayloadBaseLLHeader
	network3  = expr.PayloadBaseNetworkHeader
	transport = expr.PayloadBaseTransportHeader
)

func ethDst(m wire.MAC) rule    { return payload(link, 0, m[:]) }
func ethSrc(m wire.MAC) rule    { return payload(link, 6, m[:]) }
func ethSrcNot(m wire.MAC) rule { return notPayload(link, 6, m[:]) }
func toEthDst(m wire.MAC) rule  { return write(link, 0, m[:]) }
func toEthSrc(m wire.MAC) rule  { return write(link, 6, m[:]) }

// bits matches one byte under a mask.
func bits(base expr.PayloadBase, off uint32, mask, value byte) rule {
	return rule{load(base, off, 1), &expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{mask}, Xor: []byte{0}}, equal([]byte{value})}
}

// group matches broadcast and multicast frames, notGroup all others.
func group() rule    { return bits(link, 0, 1, 1) }
func notGroup() rule { return bits(link, 0, 1, 0) }

// ARP for IPv4 over Ethernet: offsets into the message.
const (
	arpOp  = 6
	arpSHA = 8
	arpSPA = 14
	arpTHA = 18
	arpTPA = 24
)

func arpRequest() rule            { return on(etherType(unix.ETH_P_ARP), payload(network3, arpOp, be16(1))) }
func arpFor(ip netip.Addr) rule   { return payload(network3, arpTPA, ip.AsSlice()) }
func toARPSender(m wire.MAC) rule { return write(network3, arpSHA, m[:]) }
func toARPTarget(m wire.MAC) rule { return write(network3, arpTHA, m[:]) }

// arpAnswer turns a request for an address into the reply that mac has it. The
// bridge sends it back to the port that it came from, and nothing else.
func arpAnswer(ip netip.Addr, mac wire.MAC) rule {
	return on(
		move(network3, arpSHA, arpTHA, 6), move(network3, arpSPA, arpTPA, 4),
		write(network3, arpOp, be16(2)), toARPSender(mac), write(network3, arpSPA, ip.AsSlice()),
		move(link, 6, 0, 6), toEthSrc(mac), setMark(answered), accept())
}

// move copies bytes inside of a header.
func move(base expr.PayloadBase, from, to, n uint32) rule {
	return rule{load(base, from, n), &expr.Payload{OperationType: expr.PayloadWrite, SourceRegister: 1, Base: base, Offset: to, Len: n}}
}

// noEcho keeps a bridge port, which may send back what it received, from doing
// so with anything but answers.
func noEcho(dev string) rule {
	return on(iif(dev), oif(dev), rule{&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(answered)}}, discard())
}

// addr matches an address field against a prefix; its caller has matched the
// family.
func addr(off uint32, p netip.Prefix) rule {
	n := uint32(p.Addr().BitLen() / 8)
	if p.Bits() == 0 {
		return nil
	}
	mask := make([]byte, n)
	for i := range p.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return rule{load(network3, off, n),
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: n, Mask: mask, Xor: make([]byte, n)},
		equal(p.Masked().Addr().AsSlice())}
}

func family(a netip.Addr) rule {
	if a.Is4() {
		return etherType(unix.ETH_P_IP)
	}
	return etherType(unix.ETH_P_IPV6)
}

// ipSrc and ipDst match the family, too.
func ipSrc(p netip.Prefix) rule {
	if p.Addr().Is4() {
		return on(family(p.Addr()), addr(12, p))
	}
	return on(family(p.Addr()), addr(8, p))
}

func ipDst(p netip.Prefix) rule {
	if p.Addr().Is4() {
		return on(family(p.Addr()), addr(16, p))
	}
	return on(family(p.Addr()), addr(24, p))
}

func ports(off uint32, lo, hi uint16) rule {
	if lo == hi {
		return payload(transport, off, be16(lo))
	}
	return rule{load(transport, off, 2), &expr.Range{Op: expr.CmpOpEq, Register: 1, FromData: be16(lo), ToData: be16(hi)}}
}

func srcPorts(lo, hi uint16) rule { return ports(0, lo, hi) }
func dstPorts(lo, hi uint16) rule { return ports(2, lo, hi) }

func ctState(bits uint32) rule {
	return rule{&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)}}
}

func known() rule { return ctState(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED) }

// Bits of a connection's status, linux/netfilter/nf_conntrack_common.h.
const (
	srcNAT = 1 << 4 // IPS_SRC_NAT
	dstNAT = 1 << 5 // IPS_DST_NAT
)

// ctStatus matches connections that have one of the bits.
func ctStatus(bits uint32) rule {
	return rule{&expr.Ct{Key: expr.CtKeySTATUS, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)}}
}

func accept() rule  { return rule{&expr.Verdict{Kind: expr.VerdictAccept}} }
func discard() rule { return rule{&expr.Verdict{Kind: expr.VerdictDrop}} }

// drop discards a packet and reports it under the contract's name, with the
// place: an endpoint's id, or "".
func drop(reason, place string) rule { return on(note(reason+" "+place), discard()) }

// note reports a packet that the kernel is about to discard by itself.
func note(reason string) rule {
	return rule{&expr.Log{Key: 1<<unix.NFTA_LOG_GROUP | 1<<unix.NFTA_LOG_PREFIX | 1<<unix.NFTA_LOG_QTHRESHOLD, Group: dropGroup, QThreshold: 1,
		Data: []byte(reason)}}
}

// below matches a field that is less than a value.
func below(base expr.PayloadBase, off uint32, data []byte) rule {
	return rule{load(base, off, uint32(len(data))), &expr.Cmp{Op: expr.CmpOpLt, Register: 1, Data: data}}
}

// longerThan matches packets by their length behind the Ethernet header.
func longerThan(n int) rule {
	return rule{&expr.Meta{Key: expr.MetaKeyLEN, Register: 1},
		&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 4, Size: 4},
		&expr.Cmp{Op: expr.CmpOpGt, Register: 1, Data: binaryutil.BigEndian.PutUint32(uint32(n))}}
}

// original matches packets of the direction in which a connection began.
func original() rule {
	return rule{&expr.Ct{Key: expr.CtKeyDIRECTION, Register: 1}, equal([]byte{0})}
}

// reply matches packets of the other direction.
func reply() rule {
	return rule{&expr.Ct{Key: expr.CtKeyDIRECTION, Register: 1}, equal([]byte{1})}
}

// untracked keeps the connection table, and with it the reassembly of
// fragments, away from a packet.
func untracked() rule { return rule{&expr.Notrack{}} }

// natTo translates to an address and a range of ports; ports 0 keep them.
func natTo(kind expr.NATType, to netip.Addr, lo, hi uint16) rule {
	r := rule{&expr.Immediate{Register: 1, Data: to.AsSlice()}}
	n := &expr.NAT{Type: kind, Family: unix.NFPROTO_IPV4, RegAddrMin: 1}
	if to.Is6() {
		n.Family = unix.NFPROTO_IPV6
	}
	if lo != 0 {
		r = append(r, &expr.Immediate{Register: 2, Data: be16(lo)}, &expr.Immediate{Register: 3, Data: be16(hi)})
		n.RegProtoMin, n.RegProtoMax, n.Specified = 2, 3, true
	}
	return append(r, n)
}

// ruleset is a table that is replaced as a whole.
type ruleset struct {
	family nftables.TableFamily
	chains []*chain
	ttl    bool // rules use ttlMap
	maps   []kernelMap
}

// kernelMap is a map that rules of a table look things up in.
type kernelMap interface {
	addTo(*nftables.Conn, *nftables.Table) error
}

// chain is a base chain with its rules.
type chain struct {
	name  string
	kind  nftables.ChainType
	hook  *nftables.ChainHook
	prio  nftables.ChainPriority
	rules []rule
}

func (c *chain) add(parts ...rule) { c.rules = append(c.rules, on(parts...)) }

// tableName is that of everything that the backend programs.
const tableName = "hnsim"

// rulesAtOnce fit into one transaction: the kernel answers each rule with a
// copy of it, which waits in the socket's buffer until all are sent. Without
// root that buffer is small.
const rulesAtOnce = 200

// install replaces the tables of a namespace, in one transaction if they are of
// an ordinary size. The world is at rest meanwhile: nobody sees half a table.
func (s *space) install(sets ...*ruleset) error {
	c, err := s.nft()
	if err != nil {
		return err
	}
	sent := 0
	for _, rs := range sets {
		t := &nftables.Table{Family: rs.family, Name: tableName}
		c.AddTable(t) // so that the next line finds one
		c.DelTable(t)
		c.AddTable(t)
		if rs.ttl {
			if err := addTTLMap(c, t); err != nil {
				return err
			}
		}
		for _, m := range rs.maps {
			if err := m.addTo(c, t); err != nil {
				return err
			}
		}
		for _, ch := range rs.chains {
			if len(ch.rules) == 0 {
				continue
			}
			prio := ch.prio
			nc := c.AddChain(&nftables.Chain{Name: ch.name, Table: t, Type: ch.kind, Hooknum: ch.hook, Priority: &prio})
			for _, r := range ch.rules {
				if sent++; sent%rulesAtOnce == 0 {
					if err := s.flush(c); err != nil {
						return err
					}
				}
				c.AddRule(&nftables.Rule{Table: t, Chain: nc, Exprs: r})
			}
		}
	}
	return s.flush(c)
}

func (s *space) flush(c *nftables.Conn) error {
	if err := c.Flush(); err != nil {
		return fmt.Errorf("rules of %s: %w", s.name, err)
	}
	return nil
}
