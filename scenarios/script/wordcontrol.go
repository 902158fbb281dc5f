package script

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

var controlWords = []*word{
	{
		name: "network", group: "Control plane", args: "HOST NAME FILE", refusable: true, acts: true,
		summary: "create a network from a document",
		detail:  []string{"The document may have the v2 or the v1 shape. Defines ${id:NAME} and, for overlay networks, the DR MAC ${dr:NAME}."},
		example: "network h1 vx1 net-h1.json",
		parse:   parseNetwork,
	},
	{
		name: "endpoint", group: "Control plane", args: "NAME NETWORK FILE [ns=NAMESPACE] [isolation=process|hyperv] [noattach] [nostart] [norole]",
		refusable: true, acts: true,
		summary: "create an endpoint, and a container of the same name that uses it",
		detail: []string{
			"The container gets a namespace of its own, or joins ns=, and is attached and started: noattach leaves the endpoint unattached, nostart joins the namespace without starting a container, norole makes no container at all. A remote endpoint (Flags 1) never has one, and an endpoint in a namespace of type HostDefault gives its interface to the host.",
			"Defines ${id:NAME}, ${mac:NAME}, ${ip:NAME} and ${ip6:NAME} as the service answered.",
		},
		example: "endpoint co11 vx1 ep-co11.json",
		parse:   parseEndpoint,
	},
	{
		name: "namespace", group: "Control plane", args: "HOST NAME [FILE] [type=Host|HostDefault|Guest|GuestDefault]", refusable: true, acts: true,
		summary: "create a namespace", detail: []string{"Defines ${id:NAME}."},
		example: "namespace h1 ns1", parse: parseNamespace,
	},
	{
		name: "loadbalancer", group: "Control plane", args: "HOST NAME FILE", refusable: true, acts: true,
		summary: "create a load balancer", detail: []string{"Defines ${id:NAME}."},
		example: "loadbalancer h1 lb1 lb.json",
		parse:   func(p *parser) op { return parseHostObject(p, loadbalancerKind) },
	},
	{
		name: "route", group: "Control plane", args: "HOST NAME FILE", refusable: true, acts: true,
		summary: "create an SDN route", detail: []string{"Defines ${id:NAME}."},
		example: "route h1 rt1 route.json",
		parse:   func(p *parser) op { return parseHostObject(p, routeKind) },
	},
	{
		name: "policy", group: "Control plane", args: "add|remove|update network|endpoint NAME FILE", refusable: true, acts: true,
		summary: "change the policies of a network or an endpoint",
		detail:  []string{"FILE holds one policy, a list of policies, an object with Policies, or a whole modify request."},
		example: "policy add endpoint co11 acl.json",
		parse:   parsePolicy,
	},
	{
		name: "modify", group: "Control plane", args: "network|endpoint|namespace|loadbalancer NAME FILE", refusable: true, acts: true,
		summary: "send a modify request as it is",
		example: "modify network br1 add-subnet.json",
		parse:   parseModify,
	},
	{
		name: "delete", group: "Control plane", args: "network|endpoint|namespace|loadbalancer|route NAME", refusable: true, acts: true,
		summary: "delete an object", detail: []string{"Its name stays usable in query and delete, which the service then refuses."},
		example: "delete endpoint co11",
		parse:   parseDelete,
	},
	{
		name: "hnscall", group: "Control plane", args: "HOST METHOD PATH [FILE] [as=KIND:NAME]", refusable: true, acts: true,
		summary: "send an HNS v1 request and print its output",
		detail:  []string{"as=network:NAME (or another kind) gives the object in the output a name, and with it ${id:NAME}."},
		example: "hnscall h1 POST /networks/ nat-v1.json as=network:nat1",
		parse:   parseHNSCall,
	},
}

func parseNetwork(p *parser) op {
	host, _ := p.role("the host", hostKind)
	who := p.next("the network's name")
	body := p.document(networkKind)
	p.end()
	return p.create(backends.HCNOp{Host: host, Kind: string(networkKind), Body: body}, who, &name{kind: networkKind, host: host})
}

func parseHostObject(p *parser, k kind) op {
	host, _ := p.role("the host", hostKind)
	who := p.next("the name")
	body := p.document(k)
	p.end()
	return p.create(backends.HCNOp{Host: host, Kind: string(k), Body: body}, who, &name{kind: k, host: host})
}

func parseNamespace(p *parser) op {
	host, _ := p.role("the host", hostKind)
	who := p.next("the namespace's name")
	body := []byte(nil)
	if next := p.peek(); next != "" && !strings.Contains(next, "=") {
		body = p.document(namespaceKind)
	}
	kindOf := "Host"
	p.attributes(nil, attr{name: "type", set: toString(&kindOf)})
	if body == nil {
		body = []byte(fmt.Sprintf(`{"Type":%q,"SchemaVersion":{"Major":2,"Minor":0}}`, kindOf))
	} else if ns, err := hcn.DecodeNamespace(body); err == nil {
		kindOf = string(ns.Type)
	}
	// The network field tells endpoints whose namespace this is.
	return p.create(backends.HCNOp{Host: host, Kind: string(namespaceKind), Body: body}, who, &name{kind: namespaceKind, host: host, network: kindOf})
}

// create declares an object and returns what makes it.
func (p *parser) create(o backends.HCNOp, who string, n *name) op {
	if p.err != nil {
		return nil
	}
	o.Verb = "create"
	if !p.line.negate {
		p.declare(who, n)
	}
	return func(r *run) error {
		_, err := r.create(o, who)
		return err
	}
}

// declare adds an object and, before the run, stand-ins for its variables.
func (p *parser) declare(who string, n *name) {
	p.check(p.sc.declareObject(who, n))
	p.sc.vars["host:"+string(n.kind)+":"+who] = n.host
	if !p.sc.static || p.err != nil {
		return
	}
	p.sc.vars["id:"+who] = hcn.ZeroGUID
	switch n.kind {
	case networkKind:
		p.sc.vars["dr:"+who] = "02-00-00-00-00-02"
	case endpointKind:
		p.sc.vars["mac:"+who] = "02-00-00-00-00-01"
		p.sc.vars["ip:"+who] = "192.0.2.1"
		p.sc.vars["ip6:"+who] = "2001:db8::1"
	}
}

// create carries out a create and records what the object is now known by.
func (r *run) create(o backends.HCNOp, who string) (json.RawMessage, error) {
	res, err := r.hcn(o)
	if err != nil {
		return nil, err
	}
	doc := res.Document
	if len(doc) == 0 {
		q, err := r.world.HCN(r.ctx, backends.HCNOp{Host: o.Host, Kind: o.Kind, Verb: "query", ID: res.ID})
		if err == nil {
			doc = q.Document
		}
	}
	r.scope.vars["id:"+who] = res.ID
	r.learn(kind(o.Kind), who, doc)
	return doc, nil
}

// learn takes addresses out of a document.
func (r *run) learn(k kind, who string, doc json.RawMessage) {
	switch k {
	case networkKind:
		n, err := hcn.DecodeNetwork(doc)
		if err != nil {
			return
		}
		for _, pol := range n.Policies {
			if s, err := hcn.DecodeSettings[hcn.DrMacAddressSettings](pol); err == nil && strings.EqualFold(string(pol.Type), "DrMacAddress") {
				r.scope.vars["dr:"+who] = s.Address
			}
		}
	case endpointKind:
		e, err := hcn.DecodeEndpoint(doc)
		if err != nil {
			return
		}
		if e.MacAddress != "" {
			r.scope.vars["mac:"+who] = e.MacAddress
		}
		var addrs []netip.Prefix
		for _, c := range e.IpConfigurations {
			if a, err := netip.ParseAddr(c.IpAddress); err == nil {
				addrs = append(addrs, netip.PrefixFrom(a, int(c.PrefixLength)))
			}
		}
		delete(r.scope.vars, "ip:"+who)
		delete(r.scope.vars, "ip6:"+who)
		r.scope.setAddrs(who, addrs)
	}
}

func parsePolicy(p *parser) op {
	verbs := map[string]string{"add": "Add", "remove": "Remove", "update": "Update"}
	text := p.next("add, remove or update")
	verb, ok := verbs[text]
	if !ok {
		p.errorf("found %s, expected add, remove or update%s", quoteShort(text), didYouMean(text, wordNames(verbs)))
	}
	k := p.objectKind(networkKind, endpointKind)
	who, n := p.object(k)
	file := p.peek()
	data := p.document(fragmentKind)
	p.end()
	if p.err != nil {
		return nil
	}
	body, err := policyRequest(verb, data)
	if err != nil && p.line.negate {
		body, err = data, nil
	}
	p.check(err)
	if f := p.sc.files[file]; f != nil && err == nil {
		p.sc.sends(Document{File: f.name, Line: f.line, Kind: "modify", Data: body, Made: true})
	}
	return modifyOp(k, who, n.host, body)
}

func parseModify(p *parser) op {
	k := p.objectKind(networkKind, endpointKind, namespaceKind, loadbalancerKind)
	who, n := p.object(k)
	body := p.document("")
	p.end()
	return modifyOp(k, who, n.host, body)
}

func modifyOp(k kind, who, host string, body json.RawMessage) op {
	return func(r *run) error {
		_, err := r.hcn(backends.HCNOp{Host: host, Kind: string(k), Verb: "modify", ID: r.id(who), Body: body})
		return err
	}
}

func parseDelete(p *parser) op {
	k := p.objectKind(objKinds...)
	who, n := p.object(k)
	p.end()
	if p.err == nil && !p.line.negate {
		p.sc.forget(k, who)
	}
	return func(r *run) error {
		_, err := r.hcn(backends.HCNOp{Host: n.host, Kind: string(k), Verb: "delete", ID: r.id(who)})
		return err
	}
}

var httpMethods = []string{"GET", "POST", "DELETE", "PUT"}

func parseHNSCall(p *parser) op {
	host, _ := p.role("the host", hostKind)
	method := p.next("the method")
	if p.err == nil && closest(method, httpMethods) != method {
		p.errorf("found %s, expected GET, POST or DELETE", quoteShort(method))
	}
	path := p.next("the path")
	var body []byte
	if next := p.peek(); next != "" && !strings.Contains(next, "=") {
		body = p.document("")
	}
	var as *name
	who := ""
	p.attributes(nil, attr{name: "as", set: func(v string) error {
		k, n, ok := strings.Cut(v, ":")
		if !ok || closest(k, kindNames()) != k {
			return fmt.Errorf("found %s, expected kind:name such as network:nat1", quoteShort(v))
		}
		as, who = &name{kind: kind(k), host: host}, n
		return nil
	}})
	if as != nil && p.err == nil && !p.line.negate {
		p.declare(who, as)
	}
	return func(r *run) error {
		res, err := r.hcn(backends.HCNOp{Host: host, Kind: "hnscall", Verb: method, Path: path, Body: body})
		if err != nil {
			return err
		}
		doc := envelopeOutput(res.Document)
		r.out.WriteString(readable(doc))
		if as != nil {
			var object struct{ ID string }
			if err := json.Unmarshal(doc, &object); err != nil || object.ID == "" {
				return fmt.Errorf("the output has no ID to give to %s", who)
			}
			r.scope.vars["id:"+who] = object.ID
			r.learn(as.kind, who, doc)
		}
		return nil
	}
}

// envelopeOutput unwraps {"Success":true,"Output":...} if a backend returns the
// whole envelope.
func envelopeOutput(doc json.RawMessage) json.RawMessage {
	var e struct {
		Success *bool
		Output  json.RawMessage
	}
	if json.Unmarshal(doc, &e) == nil && e.Success != nil {
		return e.Output
	}
	return doc
}

func kindNames() []string {
	var out []string
	for _, k := range objKinds {
		out = append(out, string(k))
	}
	return out
}
