package script

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/wire"
)

const sendArgs = "ROLE udp|tcp|icmp|icmp6|proto=N [SRC] > DST ['PAYLOAD'] [OPTION]..."

var sendWords = []*word{
	{
		name: "send", group: "Stimuli", args: sendArgs, acts: true,
		summary: "send one packet, or a series, through the role's own routing and address resolution",
		detail: []string{
			"SRC and DST are address:port, for icmp and proto=N addresses. SRC, or its address or port, may be left out: the role's own address, an ephemeral port. A tcp packet is one segment, not a connection.",
			"IP: ttl=N tos=N df id=N (the identification; for icmp write ip.id=N). Payload: text, payload=hex:0102, payload=@file, size=N. udp: nocsum. tcp: flags=SA (letters of FSRPAUEC) seq=N ack=N. icmp: echo, reply, unreachable, port-unreachable, frag-needed, time-exceeded or type=N code=N, with id=N seq=N.",
			"frags=A,B,C sends the datagram as fragments with these payload sizes, order=2,0,1 in that order; an index that is left out is not sent.",
			"count=N sends N packets. With sport=+1 or dport=+1 every packet has the next port, and the world comes to rest in between; without, they leave back to back, or every=TIME apart.",
		},
		example: "send co11 udp 10.244.1.10:40000 > 10.244.2.20:53 'hello' ttl=64 df",
		parse:   func(p *parser) op { return parseSend(p).op() },
	},
	{
		name: "trace", group: "Stimuli", args: sendArgs, acts: true, needs: []string{"capability:trace"},
		summary: "send a packet and print its walk, stage by stage",
		detail:  []string{"Takes what send takes. The world records traces from the start when a scenario has a trace line."},
		example: "trace co11 udp 10.244.1.10:40000 > 10.244.2.20:53",
		parse:   parseTrace,
	},
	{
		name: "frame", group: "Stimuli", args: "[-wire] ROLE LAYER... | [-wire] ROLE hex=HEX|hex=@FILE", acts: true, needs: []string{"capability:frames"},
		summary: "send a raw frame from the role's NIC, or with -wire from outside towards a node",
		detail: []string{
			"Layers are written outermost first; lengths, checksums and types follow from what is there:",
			"eth(SRC>DST [type=N]) · vlan(ID [prio=N]) · arp(who-has A tell B) · arp(reply A is-at MAC to B) · ip(A>B [ttl=N] [tos=N] [id=N] [df] [mf] [off=N] [proto=N] [len=N] [badsum]) · udp(SPORT>DPORT [nocsum] [sum=N] [len=N]) · tcp(SPORT>DPORT FLAGS [seq=N] [ack=N] [win=N] [mss=N]) · icmp(echo|reply|unreachable|port-unreachable|frag-needed|time-exceeded|redirect [type=N] [code=N] [id=N] [seq=N] [mtu=N] [sum=N]), icmp6 likewise · nd(rs|ra|ns|na|redirect [target=A] [sll=MAC] [tll=MAC] [flags=N]) · dhcp(discover|offer|request|ack|... [xid=N] [chaddr=MAC] [yiaddr=A] [requested=A] [server=A] [router=A] [mask=BITS] [lease=SEC] [broadcast]) · vxlan(vni=N [flags=N]) or nvgre(vsid=N [flow=N] [flags=N]), with the inner frame behind · quote, with the layers behind it as the packet in an ICMP error · 'text', payload=hex:..., size(N) · pad(N).",
			"MAC addresses are written as Windows or Unix does; broadcast is ff-ff-ff-ff-ff-ff.",
		},
		example: "frame -wire h1 eth(00-00-5E-00-01-01>00-15-5D-82-00-23) ip(203.0.113.80>10.127.130.35) udp(53>50001) 'late'",
		parse:   parseFrame,
	},
}

// maxCount bounds a series.
const maxCount = 100_000

// sending is a parsed send line.
type sending struct {
	p            *parser
	s            backends.Stimulus
	sport, dport int // steps of a series
}

func parseSend(p *parser) *sending {
	d := &sending{p: p, s: backends.Stimulus{Kind: backends.SendPacket}}
	d.s.Role, _ = p.role("the role", roleKinds...)
	proto := p.next("the protocol")
	switch number, isNumber := strings.CutPrefix(proto, "proto="); {
	case isNumber:
		n, ok := protoNumber(number)
		if !ok {
			p.errorf("found %s, expected a protocol number", quoteShort(number))
		}
		d.s.Proto = strconv.Itoa(int(n))
	case proto == "udp" || proto == "tcp" || proto == "icmp" || proto == "icmp6":
		d.s.Proto = proto
	default:
		p.errorf("found %s, expected udp, tcp, icmp, icmp6 or proto=N%s", quoteShort(proto), didYouMean(proto, []string{"udp", "tcp", "icmp", "icmp6"}))
	}
	d.addresses()
	p.attributes(d.payload, d.attrs()...)
	d.finish()
	return d
}

func (d *sending) hasPorts() bool { return d.s.Proto == "udp" || d.s.Proto == "tcp" }
func (d *sending) isICMP() bool   { return strings.HasPrefix(d.s.Proto, "icmp") }

func (d *sending) addresses() {
	p := d.p
	f, ok := p.flow()
	if !ok {
		p.errorf("no destination: expected [SRC] > DST")
	}
	if p.err != nil {
		return
	}
	var err error
	if d.s.Dst, err = parseAddrPort(f.dst, d.hasPorts()); err != nil {
		p.check(err)
		return
	}
	if f.src != "" {
		d.s.Src, err = parseAddrPort(f.src, false)
		p.check(err)
	}
	dst, src := d.s.Dst.Addr(), d.s.Src.Addr()
	switch {
	case !dst.IsValid():
		p.errorf("no destination address: found %s", quoteShort(f.dst))
	case src.IsValid() && src.Is4() != dst.Is4():
		p.errorf("%v and %v are of different IP versions", src, dst)
	case !d.hasPorts() && (d.s.Src.Port() != 0 || d.s.Dst.Port() != 0):
		p.errorf("%s has no ports", d.s.Proto)
	case d.s.Proto == "icmp" && dst.Is6():
		d.s.Proto = "icmp6"
	case d.s.Proto == "icmp6" && dst.Is4():
		p.errorf("icmp6 goes to IPv6 addresses, found %v", dst)
	}
	if d.isICMP() {
		d.s.ICMPType = icmpWords[d.s.Proto]["echo"][0]
	}
}

func (d *sending) payload(text string) error {
	b, err := d.p.payload(text)
	d.s.Payload = b
	return err
}

func (d *sending) attrs() []attr {
	s := &d.s
	attrs := []attr{
		{name: "ttl", set: toUint(&s.TTL, 255)}, {name: "tos", set: toUint(&s.TOS, 255)}, {name: "df", flag: true, set: toFlag(&s.DF)},
		{name: "ip.id", set: toUint(&s.IPID, 0xffff)}, {name: "payload", set: d.payload},
		{name: "size", set: func(v string) error {
			n := 0
			err := toUint(&n, maxPayload)(v)
			s.Payload = filler(n)
			return err
		}},
		{name: "frags", set: toInts(&s.Fragments, maxPayload)}, {name: "order", set: toInts(&s.FragmentOrder, 1000)},
		{name: "count", set: toUint(&s.Count, maxCount)}, {name: "every", set: toDuration(&s.Every)},
	}
	switch {
	case d.s.Proto == "udp":
		attrs = append(attrs, attr{name: "nocsum", flag: true, set: toFlag(&s.NoChecksum)})
	case d.s.Proto == "tcp":
		attrs = append(attrs, attr{name: "seq", set: toUint(&s.Seq, 1<<32-1)}, attr{name: "ack", set: toUint(&s.Ack, 1<<32-1)},
			attr{name: "flags", set: func(v string) error {
				_, err := tcpBits(v)
				s.TCPFlags = strings.Trim(v, "0")
				return err
			}})
	case d.isICMP():
		attrs = append(attrs, attr{name: "id", set: toUint(&s.ICMPID, 0xffff)}, attr{name: "seq", set: toUint(&s.ICMPSeq, 0xffff)},
			attr{name: "type", set: toUint(&s.ICMPType, 255)}, attr{name: "code", set: toUint(&s.ICMPCode, 255)})
		for _, name := range wordNames(icmpWords[d.s.Proto]) {
			m := icmpWords[d.s.Proto][name]
			attrs = append(attrs, attr{name: name, flag: true, set: func(string) error {
				s.ICMPType, s.ICMPCode = m[0], m[1]
				return nil
			}})
		}
		return attrs
	}
	if d.hasPorts() {
		attrs = append(attrs, attr{name: "sport", set: toStep(&d.sport)}, attr{name: "dport", set: toStep(&d.dport)})
	}
	return append(attrs, attr{name: "id", set: toUint(&s.IPID, 0xffff)})
}

// toStep reads +1 or -1.
func toStep(dst *int) func(string) error {
	return func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || v[0] != '+' && v[0] != '-' || n < -1000 || n > 1000 {
			return fmt.Errorf("found %s, expected a step such as +1", quoteShort(v))
		}
		*dst = n
		return nil
	}
}

func toInts(dst *[]int, maximum uint64) func(string) error {
	return func(v string) error {
		for _, part := range strings.Split(v, ",") {
			n := 0
			if err := toUint(&n, maximum)(part); err != nil {
				return err
			}
			*dst = append(*dst, n)
		}
		return nil
	}
}

func (d *sending) finish() {
	p, s := d.p, &d.s
	if p.err != nil {
		return
	}
	for _, n := range s.FragmentOrder {
		if n >= len(s.Fragments) {
			p.errorf("order: there is no fragment %d of %d", n, len(s.Fragments))
		}
	}
	steps := d.sport != 0 || d.dport != 0
	switch {
	case s.FragmentOrder != nil && s.Fragments == nil:
		p.errorf("order= without frags=")
	case (s.Every > 0 || steps) && s.Count == 0:
		p.errorf("a series without count=")
	case d.sport != 0 && s.Src.Port() == 0:
		p.errorf("sport=%+d without a source port to begin with", d.sport)
	case steps && (!inPorts(s.Src.Port(), d.sport, s.Count) || !inPorts(s.Dst.Port(), d.dport, s.Count)):
		p.errorf("the series leaves the range of ports")
	case steps && s.Every > 0:
		p.errorf("every= does not go with a step of ports: the world rests after each packet")
	}
}

func inPorts(first uint16, step, count int) bool {
	last := int(first) + step*(count-1)
	return last >= 0 && last <= 0xffff
}

func (d *sending) op() op {
	s := d.s
	if d.sport == 0 && d.dport == 0 {
		return func(r *run) error { return r.send(s) }
	}
	return func(r *run) error {
		n := s.Count
		one := s
		one.Count = 0
		for i := range n {
			one.Src = withPort(s.Src, d.sport*i)
			one.Dst = withPort(s.Dst, d.dport*i)
			one.More = i+1 < n
			if err := r.send(one); err != nil {
				return err
			}
		}
		return nil
	}
}

func withPort(a netip.AddrPort, add int) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr(), uint16(int(a.Port())+add))
}

// send carries out a packet or frame. That a role could not send is a finding
// about the role, not a mistake of the scenario.
func (r *run) send(s backends.Stimulus) error {
	out, err := r.do(s)
	if err != nil {
		return err
	}
	r.sent = append(r.sent, out.ID)
	if !out.OK {
		return r.failure(s.Role+" sends the packet", "not sent: "+out.Detail)
	}
	return nil
}

func parseTrace(p *parser) op {
	d := parseSend(p)
	if p.err == nil && d.s.Count > 1 {
		p.errorf("trace follows one packet: no count=")
	}
	return func(r *run) error {
		if err := r.send(d.s); err != nil {
			return err
		}
		for _, l := range r.world.Trace(r.sent[len(r.sent)-1]) {
			r.out.WriteString(l + "\n")
		}
		return nil
	}
}

func parseFrame(p *parser) op {
	s := backends.Stimulus{Kind: backends.SendFrame, OnWire: p.accept("-wire")}
	kinds := roleKinds
	if s.OnWire {
		kinds = nodeKinds
	}
	s.Role, _ = p.role("the role", kinds...)
	if hex, ok := strings.CutPrefix(p.peek(), "hex="); ok {
		p.i++
		s.Frame = p.frameBytes(hex)
		p.end()
	} else if p.err == nil {
		var text []string
		for p.more() {
			text = append(text, p.args[p.i].raw)
			p.i++
		}
		b, err := p.buildFrame(strings.Join(text, " "))
		p.check(err)
		s.Frame = b
	}
	if p.err == nil && len(s.Frame) < wire.EthernetLen {
		p.errorf("a frame of %d bytes has no Ethernet header", len(s.Frame))
	}
	return func(r *run) error { return r.send(s) }
}
