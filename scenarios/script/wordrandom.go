package script

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

var randomWords = []*word{
	{
		name: "random", group: "Stimuli", args: "SEED ROLE ROLE... count=N [ports=N] [acls=ENDPOINT,...]", acts: true,
		summary: "send random packets between the roles, and change their policies at random",
		detail: []string{
			"Datagrams, segments, echo requests and fragments from each role to every other, IPv6 where both have it, with ports from 1 to ports= (default 4), so that flows come back and replies meet them. The same seed gives the same packets.",
			"acls= names endpoints whose ACLs change on the way: about every tenth packet one of them loses the list that it got before and gets a new one, of up to six rules.",
			"stdout says how many packets were sent and how many lists were set. Every scenario is run with the flow tables on and off; what is checked here is what they were all about.",
		},
		example: "random 7 a b x count=300 acls=a,b",
		parse:   parseRandom,
	},
}

// randomly is a parsed random line.
type randomly struct {
	seed  uint32
	count int
	ports uint16
	roles []string
	acls  []aclTarget
}

type aclTarget struct{ name, host string }

func parseRandom(p *parser) op {
	d := &randomly{ports: 4}
	p.check(toUint(&d.seed, 1<<32-1)(p.next("the seed")))
	for p.err == nil && p.peek() != "" && !strings.Contains(p.peek(), "=") {
		who, _ := p.role("a role", roleKinds...)
		d.roles = append(d.roles, who)
	}
	counted := false
	p.attributes(nil, attr{name: "count", set: func(v string) error { counted = true; return toUint(&d.count, maxCount)(v) }},
		attr{name: "ports", set: toUint(&d.ports, 1000)},
		attr{name: "acls", set: func(v string) error {
			for _, who := range strings.Split(v, ",") {
				n, err := p.sc.object(endpointKind, who)
				if err != nil {
					return err
				}
				d.acls = append(d.acls, aclTarget{who, n.host})
			}
			return nil
		}})
	if p.err == nil && (!counted || d.count == 0 || d.ports == 0 || len(d.roles) < 2) {
		p.errorf("expected count=N, ports of at least 1, and two roles or more; usage: %s %s", p.word.name, p.word.args)
	}
	return d.run
}

// run carries the line out.
func (d *randomly) run(r *run) error {
	rnd := rand.New(rand.NewPCG(uint64(d.seed), 0x5eed))
	set := map[string]json.RawMessage{} // the list that an endpoint got last
	lists := 0
	for range d.count {
		if len(d.acls) > 0 && rnd.IntN(10) == 0 {
			if err := d.change(r, rnd, set); err != nil {
				return err
			}
			lists++
		}
		s, err := d.packet(r, rnd)
		if err != nil {
			return err
		}
		if err := r.send(s); err != nil {
			return err
		}
	}
	fmt.Fprintf(&r.out, "%d packets, %d lists\n", d.count, lists)
	return nil
}

// packet makes a packet from one of the roles to another.
func (d *randomly) packet(r *run, rnd *rand.Rand) (backends.Stimulus, error) {
	i := rnd.IntN(len(d.roles))
	j := (i + 1 + rnd.IntN(len(d.roles)-1)) % len(d.roles)
	from, to := d.roles[i], d.roles[j]
	family := "ip:"
	if r.scope.vars["ip6:"+from] != "" && r.scope.vars["ip6:"+to] != "" && rnd.IntN(2) == 0 {
		family = "ip6:"
	}
	src, err1 := netip.ParseAddr(r.scope.vars[family+from])
	dst, err2 := netip.ParseAddr(r.scope.vars[family+to])
	if err1 != nil || err2 != nil {
		return backends.Stimulus{}, fmt.Errorf("%s or %s has no address", from, to)
	}
	port := func() uint16 { return 1 + uint16(rnd.IntN(int(d.ports))) }
	s := backends.Stimulus{Kind: backends.SendPacket, Role: from, Payload: filler(rnd.IntN(64))}
	s.Src, s.Dst = netip.AddrPortFrom(src, port()), netip.AddrPortFrom(dst, port())
	switch rnd.IntN(8) {
	case 0:
		s.Proto, s.ICMPID = "icmp", port()
		if src.Is6() {
			s.Proto = "icmp6"
		}
		s.ICMPType = icmpWords[s.Proto]["echo"][0]
		s.Src, s.Dst = netip.AddrPortFrom(src, 0), netip.AddrPortFrom(dst, 0)
	case 1, 2, 3:
		s.Proto = "tcp"
		s.TCPFlags = []string{"S", "SA", "A", "A", "FA", "R"}[rnd.IntN(6)]
		s.Seq = rnd.Uint32N(1000)
	default:
		s.Proto = "udp"
		if src.Is4() && rnd.IntN(6) == 0 {
			s.Payload = filler(200)
			s.Fragments = []int{96, 96, 16}
		}
	}
	return s, nil
}

// change replaces the list of one endpoint.
func (d *randomly) change(r *run, rnd *rand.Rand, set map[string]json.RawMessage) error {
	t := d.acls[rnd.IntN(len(d.acls))]
	send := func(verb string, list json.RawMessage) error {
		body, err := policyRequest(verb, list)
		if err != nil {
			return err
		}
		_, err = r.hcn(backends.HCNOp{Host: t.host, Kind: string(endpointKind), Verb: "modify", ID: r.id(t.name), Body: body})
		return err
	}
	if old := set[t.name]; old != nil {
		if err := send("Remove", old); err != nil {
			return err
		}
	}
	var list []hcn.Policy
	for range 1 + rnd.IntN(6) {
		settings, err := json.Marshal(d.acl(r, rnd))
		if err != nil {
			return err
		}
		list = append(list, hcn.Policy{Type: hcn.PolicyACL, Settings: settings})
	}
	data, err := json.Marshal(list)
	if err != nil {
		return err
	}
	set[t.name] = data
	return send("Add", data)
}

// acl makes a rule about the roles' addresses and ports.
func (d *randomly) acl(r *run, rnd *rand.Rand) hcn.ACLSettings {
	a := hcn.ACLSettings{Priority: uint16(100 + rnd.IntN(900)), RuleType: hcn.SwitchRule,
		Action:    []hcn.ActionType{hcn.Allow, hcn.Block}[rnd.IntN(2)],
		Direction: []hcn.Direction{hcn.In, hcn.Out}[rnd.IntN(2)]}
	if rnd.IntN(2) == 0 {
		a.RemoteAddresses = r.scope.vars["ip:"+d.roles[rnd.IntN(len(d.roles))]]
	}
	switch rnd.IntN(3) {
	case 0:
		a.Protocols = []string{"1", "6", "17"}[rnd.IntN(3)]
	case 1:
		a.Protocols = []string{"6", "17"}[rnd.IntN(2)]
		a.RemotePorts = fmt.Sprint(1 + rnd.IntN(int(d.ports)))
	}
	return a
}
