package script

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/hnsim/hnsim/backends"
)

var probeWords = []*word{
	{
		name: "tcp", group: "Stimuli", args: "ROLE > ADDR:PORT ['PAYLOAD'] [reply='TEXT'] [from=[ADDR]:PORT] [as=SID] [timeout=TIME]", refusable: true, acts: true,
		summary: "connect, send the payload, read the answer, close",
		detail: []string{"Fails unless the connection comes about; with reply= also unless exactly that comes back. stdout is the answer. With ! the connection must fail: stderr then says timeout or refused.",
			"as= is the account that connects, which a proxy inside the compartment may be told to leave alone."},
		example: "tcp co11 > 10.244.2.20:80 'GET' reply='OK'",
		parse:   parseTCP,
	},
	{
		name: "ping", group: "Stimuli", args: "ROLE > ADDR [id=N] [seq=N] [size=N] [ttl=N] [df] [timeout=TIME]", refusable: true, acts: true,
		summary: "send an echo request and wait for the reply",
		detail:  []string{"With ! there must be no reply: stderr then says timeout, or which ICMP error came."},
		example: "ping co11 > 10.244.2.20 size=1400 df",
		parse:   parsePing,
	},
	{
		name: "arp", group: "Stimuli", args: "ROLE ADDR [is=MAC|is=silence] [timeout=TIME]", refusable: true, acts: true,
		summary: "resolve an address by ARP, or ND for IPv6, whatever the cache says",
		detail:  []string{"stdout is the MAC address."},
		example: "arp co11 10.244.1.1 is=00-15-5D-D0-B3-B7",
		parse:   parseARP,
	},
	{
		name: "dhcp", group: "Stimuli", args: "ROLE [lease=ADDR|lease=PREFIX] [timeout=TIME]", refusable: true, acts: true,
		summary: "run a DHCP client",
		detail:  []string{"Fails unless there is a lease; lease= says which, or from which range. stdout is the address."},
		example: "dhcp c1 lease=10.127.130.0/24",
		parse:   parseDHCP,
	},
	{
		name: "listen", group: "Stimuli", args: "ROLE tcp|udp [ADDR]:PORT [reply='TEXT']", refusable: true, acts: true,
		summary: "serve a port: answer with the text, or with what comes",
		detail:  []string{"With ! the bind must fail: stderr then says why, for example 10013."},
		example: "listen co21 tcp :80 reply='OK'",
		parse:   func(p *parser) op { return parseListen(p, backends.Listen) },
	},
	{
		name: "bind", group: "Stimuli", args: "ROLE tcp|udp [ADDR]:PORT", refusable: true, acts: true, needs: []string{"capability:host-sockets"},
		summary: "hold a port without serving it", example: "! bind h1 tcp :50005",
		parse: func(p *parser) op { return parseListen(p, backends.Bind) },
	},
}

// destination takes "> DST".
func (p *parser) destination(needPort bool) netip.AddrPort {
	f, ok := p.flow()
	if !ok || f.src != "" {
		p.errorf("expected > ADDRESS; usage: %s %s", p.word.name, p.word.args)
		return netip.AddrPort{}
	}
	if p.err != nil {
		return netip.AddrPort{}
	}
	a, err := parseAddrPort(f.dst, needPort)
	p.check(err)
	if err == nil && !a.Addr().IsValid() {
		p.errorf("no destination address: found %s", quoteShort(f.dst))
	}
	return a
}

func parseTCP(p *parser) op {
	s := backends.Stimulus{Kind: backends.TCPConnect, Proto: "tcp"}
	s.Role, _ = p.role("the role", roleKinds...)
	s.Dst = p.destination(true)
	var reply *string
	setPayload := func(v string) (err error) { s.Payload, err = p.payload(v); return err }
	p.attributes(setPayload,
		attr{name: "payload", set: setPayload},
		attr{name: "reply", set: func(v string) error { reply = &v; return nil }},
		attr{name: "timeout", set: toDuration(&s.Timeout)},
		attr{name: "as", set: func(v string) error { s.Account = v; p.sc.need("capability:accounts"); return nil }},
		attr{name: "from", set: func(v string) (err error) { s.Src, err = parseAddrPort(v, false); return err }},
	)
	return func(r *run) error {
		since := len(r.world.Observations())
		out, err := r.do(s)
		if err != nil {
			return err
		}
		if !out.OK {
			r.connected(&s, since)
			return r.refuse(&outcomeError{fmt.Sprintf("tcp from %s to %v: %s", s.Role, s.Dst, out.Detail)})
		}
		r.out.Write(out.Received)
		if reply != nil && string(out.Received) != *reply {
			return r.failure("the answer "+printable([]byte(*reply)), printable(out.Received))
		}
		return nil
	}
}

func parsePing(p *parser) op {
	s := backends.Stimulus{Kind: backends.Ping, Proto: "icmp"}
	s.Role, _ = p.role("the role", roleKinds...)
	s.Dst = p.destination(false)
	if s.Dst.Addr().Is6() {
		s.Proto = "icmp6"
	}
	if p.err == nil && s.Dst.Port() != 0 {
		p.errorf("ping has no ports")
	}
	size := 0
	p.attributes(nil, attr{name: "id", set: toUint(&s.ICMPID, 0xffff)}, attr{name: "seq", set: toUint(&s.ICMPSeq, 0xffff)},
		attr{name: "size", set: toUint(&size, maxPayload)}, attr{name: "ttl", set: toUint(&s.TTL, 255)},
		attr{name: "df", flag: true, set: toFlag(&s.DF)}, attr{name: "timeout", set: toDuration(&s.Timeout)})
	s.Payload = filler(size)
	return func(r *run) error {
		out, err := r.do(s)
		if err != nil {
			return err
		}
		r.sent = append(r.sent, out.ID)
		if !out.OK {
			return r.refuse(&outcomeError{fmt.Sprintf("ping from %s to %v: %s", s.Role, s.Dst.Addr(), out.Detail)})
		}
		return nil
	}
}

func parseARP(p *parser) op {
	s := backends.Stimulus{Kind: backends.ARPProbe}
	s.Role, _ = p.role("the role", roleKinds...)
	addr := p.next("the address")
	if p.err == nil {
		a, err := parseAddr(addr)
		p.check(err)
		s.Dst = netip.AddrPortFrom(a, 0)
	}
	want := ""
	p.attributes(nil, attr{name: "timeout", set: toDuration(&s.Timeout)}, attr{name: "is", set: func(v string) error {
		if v == "silence" {
			want = v
			return nil
		}
		mac, err := parseMAC(v)
		want = mac.String()
		return err
	}})
	return func(r *run) error {
		out, err := r.do(s)
		if err != nil {
			return err
		}
		got := "silence"
		if out.OK {
			got = out.MAC.String()
			r.out.WriteString(got + "\n")
		}
		switch {
		case want == "" && !out.OK:
			return r.refuse(&outcomeError{fmt.Sprintf("%s gets no answer for %v", s.Role, s.Dst.Addr())})
		case want != "" && got != want:
			return r.failure(fmt.Sprintf("%v answered with %s", s.Dst.Addr(), want), got)
		}
		return nil
	}
}

func parseDHCP(p *parser) op {
	s := backends.Stimulus{Kind: backends.DHCPStart}
	s.Role, _ = p.role("the role", roleKinds...)
	var lease netip.Prefix
	p.attributes(nil, attr{name: "timeout", set: toDuration(&s.Timeout)}, attr{name: "lease", set: func(v string) (err error) {
		if strings.Contains(v, "/") {
			lease, err = parsePrefix(v)
			return err
		}
		a, err := parseAddr(v)
		lease = netip.PrefixFrom(a, a.BitLen())
		return err
	}})
	return func(r *run) error {
		out, err := r.do(s)
		if err != nil {
			return err
		}
		if !out.OK {
			return r.refuse(&outcomeError{fmt.Sprintf("%s gets no lease: %s", s.Role, out.Detail)})
		}
		r.out.WriteString(out.Addr.String() + "\n")
		if lease.IsValid() && !lease.Contains(out.Addr) {
			return r.failure("a lease of "+lease.String(), out.Addr.String())
		}
		return nil
	}
}

func parseListen(p *parser, k backends.StimulusKind) op {
	s := backends.Stimulus{Kind: k}
	s.Role, _ = p.role("the role", roleKinds...)
	s.Proto = p.next("tcp or udp")
	if p.err == nil && s.Proto != "tcp" && s.Proto != "udp" {
		p.errorf("found %s, expected tcp or udp", quoteShort(s.Proto))
	}
	at := p.next("the port")
	if p.err == nil {
		a, err := parseAddrPort(at, true)
		p.check(err)
		s.Src = a
	}
	var attrs []attr
	if k == backends.Listen {
		attrs = append(attrs, attr{name: "reply", set: func(v string) (err error) { s.Reply, err = p.payload(v); return err }})
	}
	p.attributes(nil, attrs...)
	return func(r *run) error {
		out, err := r.do(s)
		if err != nil {
			return err
		}
		if !out.OK {
			return r.refuse(&outcomeError{fmt.Sprintf("%s %s %s %v: %s", s.Role, k, s.Proto, s.Src, out.Detail)})
		}
		return nil
	}
}
