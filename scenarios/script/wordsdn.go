package script

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/hnsim/hnsim/backends"
)

// sdnCapability is what all words of this file need.
const sdnCapability = "capability:sdn"

// paSuffix follows a physical host's name in that of its compartment with the
// provider addresses, which is a role of its own.
const paSuffix = "-pa"

var sdnWords = []*word{
	{
		name: "physical", group: "Tenant networks",
		args:    "NAME ip=PREFIX... [mac=MAC] [gw=ADDR] [segment=NAME] [mtu=N] [vlan=ID] [management=PREFIX]",
		summary: "declare a physical host on which virtual machines run",
		detail: []string{
			"Its addresses are provider addresses; several are those of the members of a team. Hosts and externals get on it by on=NAME. Their ports stay blocked until the network controller has a document of the host in servers, and an interface and an access control list for the machine.",
			"The host has two roles: NAME is its own operating system, with management= as its address, and NAME-pa the compartment of the provider addresses. Both are on the wire of NAME.",
			"Defines ${ip:NAME} and, if mac= is given, ${mac:NAME}.",
		},
		example: "physical p1 ip=10.10.0.11/24 mac=00-15-5D-A0-00-11",
		needs:   []string{sdnCapability}, parse: parsePhysical,
	},
	{
		name: "mux", group: "Tenant networks",
		args:    "NAME ip=PREFIX [mac=MAC] [gw=ADDR] [segment=NAME] [mtu=N] [vlan=ID]",
		summary: "declare a multiplexer of the tenants' load balancer",
		detail:  []string{"It serves once the network controller has documents of it in virtualServers and loadBalancerMuxes, and announces virtual addresses to the routers that the latter names."},
		example: "mux mux1 ip=10.10.0.21/24",
		needs:   []string{sdnCapability}, parse: func(p *parser) op { return parseMachine(p, backends.MuxNode, muxKind) },
	},
	{
		name: "sdn", group: "Tenant networks",
		args:      "put PATH FILE | get PATH | delete PATH | load FILE",
		refusable: true, acts: true,
		summary: "send a request to the network controller",
		detail: []string{
			"PATH is a resource, /networking/v1/virtualNetworks/vnet1, or an element of one, /networking/v1/networkInterfaces/nic1/ipConfigurations/ip2; /networking/v1 may be left out. get prints the document, of a collection {\"value\": [...]}. load puts many: FILE is an object whose members are paths with their documents.",
			"A refusal begins with HTTP's status and a code: 400 InvalidDocument with the place in the document, 404 ResourceNotFound, 409 ResourceInUse, 409 Conflict.",
		},
		example: "sdn put /networking/v1/virtualNetworks/vnet1 vnet1.json",
		needs:   []string{sdnCapability}, parse: parseSDN,
	},
}

func parsePhysical(p *parser) op { return parseMachine(p, backends.PhysicalNode, physicalKind) }

func parseMachine(p *parser, nk backends.NodeKind, k kind) op {
	n := backends.Node{Kind: nk, Name: p.next("the name"), Ifaces: []backends.Iface{{}}}
	i := &n.Ifaces[0]
	attrs := []attr{
		{name: "ip", many: true, set: func(v string) error {
			prefix, err := parsePrefix(v)
			i.Addrs = append(i.Addrs, prefix)
			return err
		}},
		{name: "mac", set: toMAC(&i.MAC)},
		{name: "gw", set: toAddr(&i.Gateway)},
		{name: "segment", set: func(v string) error { i.Segment = v; return checkName(v) }},
		{name: "mtu", set: toUint(&i.MTU, 65535)},
		{name: "vlan", set: toUint(&i.VLAN, 4094)},
	}
	if k == physicalKind {
		attrs = append(attrs, attr{name: "management", set: func(v string) error {
			_, err := netip.ParsePrefix(v)
			n.Options = map[string]string{"management": v}
			return err
		}})
	}
	p.attributes(nil, attrs...)
	if p.err == nil && len(i.Addrs) == 0 {
		p.errorf("%s %s has no address: expected ip=10.10.0.11/24", k, n.Name)
	}
	if p.err == nil && k == physicalKind {
		p.check(p.sc.declareRole(n.Name+paSuffix, &name{kind: k, host: n.Name}))
	}
	return declareNode(p, n, k)
}

// onAttr makes a node a virtual machine of a physical host.
func onAttr(p *parser, n *backends.Node) attr {
	return attr{name: "on", set: func(v string) error {
		if _, err := p.sc.role(v, physicalKind); err != nil {
			return err
		}
		n.On = v
		p.sc.need(sdnCapability)
		return nil
	}}
}

func parseSDN(p *parser) op {
	o := backends.SDNOp{Verb: p.next("put, get, delete or load")}
	verbs := []string{"put", "get", "delete", "load"}
	if p.err == nil && closest(o.Verb, verbs) != o.Verb {
		p.errorf("found %s, expected put, get, delete or load%s", quoteShort(o.Verb), didYouMean(o.Verb, verbs))
	}
	if o.Verb != "load" {
		o.Path = p.next("the path")
		if p.err == nil && !strings.HasPrefix(o.Path, "/") {
			p.errorf("found %s, expected a path such as /networking/v1/virtualNetworks/vnet1", quoteShort(o.Path))
		}
	}
	if o.Verb == "put" || o.Verb == "load" {
		o.Body = p.document(sdnKind)
	}
	p.end()
	return func(r *run) error {
		ctl, ok := backends.ControllerOf(r.world)
		if !ok {
			return fmt.Errorf("backend %s has capability sdn and no network controller", r.env.backend)
		}
		doc, err := ctl.SDN(r.ctx, o)
		if err != nil {
			return r.refusable(err)
		}
		if len(doc) > 0 {
			r.out.WriteString(readable(doc))
		}
		return nil
	}
}
