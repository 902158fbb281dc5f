package script

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

var containerWords = []*word{
	{
		name: "container", group: "Containers",
		args:      "NAME shares CONTAINER | NAME HOST endpoints=NAME,...|none [ns=NAMESPACE] [isolation=process|hyperv] [noattach] [nostart]",
		refusable: true, acts: true,
		summary: "make a container that shares another's compartment, or uses existing endpoints",
		detail:  []string{"endpoints=none makes a container that a program finds running and plugs endpoints into."},
		example: "container c2 shares co11", parse: parseContainer,
	},
	{
		name: "attach", group: "Containers", args: "NAME [ns=NAMESPACE]", refusable: true, acts: true,
		summary: "attach a container's endpoints, or add an endpoint to a namespace",
		example: "attach co11", parse: func(p *parser) op { return parseAttach(p, "container.attach", "Add") },
	},
	{
		name: "detach", group: "Containers", args: "NAME [ns=NAMESPACE]", refusable: true, acts: true,
		summary: "detach a container's endpoints, or remove an endpoint from a namespace",
		example: "detach co11", parse: func(p *parser) op { return parseAttach(p, "container.detach", "Remove") },
	},
	{
		name: "start", group: "Containers", args: "CONTAINER", refusable: true, acts: true,
		summary: "start a container that was made with nostart or stopped",
		example: "start co11", parse: func(p *parser) op { return parseVerb(p, "container.start") },
	},
	{
		name: "stop", group: "Containers", args: "CONTAINER", refusable: true, acts: true,
		summary: "stop a container",
		example: "stop co11", parse: func(p *parser) op { return parseVerb(p, "container.stop") },
	},
}

// containerAttrs are the options that endpoint and container lines share.
func (p *parser) containerAttrs(c *backends.Container, ns *string, more ...attr) {
	p.attributes(nil, append(more,
		attr{name: "ns", set: toString(ns)},
		attr{name: "isolation", set: toIsolation(&c.Isolation)},
		attr{name: "noattach", flag: true, set: toFlag(&c.NoAttach)},
		attr{name: "nostart", flag: true, set: toFlag(&c.NoStart)},
	)...)
}

func toIsolation(dst *string) func(string) error {
	return func(v string) error {
		if v != "process" && v != "hyperv" {
			return fmt.Errorf("found %s, expected process or hyperv", quoteShort(v))
		}
		*dst = v
		return nil
	}
}

// namespace checks the ns= option and returns the type of the namespace.
func (p *parser) namespace(ns, host string) (typ string) {
	if ns == "" || p.err != nil {
		return ""
	}
	n, err := p.sc.object(namespaceKind, ns)
	if err != nil {
		p.check(err)
		return ""
	}
	if n.host != host {
		p.errorf("namespace %s is on host %s, not on %s", ns, n.host, host)
	}
	return n.network
}

func parseEndpoint(p *parser) op {
	who := p.next("the endpoint's name")
	network, net := p.object(networkKind)
	body := p.document(endpointKind)
	c := backends.Container{Name: who, Host: net.host}
	ns, noRole := "", false
	p.containerAttrs(&c, &ns, attr{name: "norole", flag: true, set: toFlag(&noRole)})
	typ := p.namespace(ns, net.host)
	if p.err != nil {
		return nil
	}
	if e, err := hcn.DecodeEndpoint(body); err == nil && e.Flags&1 != 0 {
		noRole = true // a remote endpoint is somebody else's container
	}
	toHost := strings.HasSuffix(typ, "Default")
	if !p.line.negate {
		p.declare(who, &name{kind: endpointKind, host: net.host, network: network})
		if !noRole && !toHost && p.err == nil {
			p.check(p.sc.declareRole(who, &name{kind: containerKind, host: net.host, endpoints: []string{who}}))
		}
	}
	create := backends.HCNOp{Host: net.host, Kind: string(endpointKind), Verb: "create", Body: body}
	return func(r *run) error {
		create.Parent = r.id(network)
		if _, err := r.create(create, who); err != nil {
			return err
		}
		switch {
		case noRole:
			return nil
		case toHost:
			return r.join(net.host, ns, "Add", who)
		}
		c.Endpoints = []string{r.id(who)}
		if ns != "" {
			c.Namespace = r.id(ns)
		}
		return r.addContainer(c)
	}
}

// addContainer makes the role; the service may refuse what that takes.
func (r *run) addContainer(c backends.Container) error {
	return r.refusable(r.world.AddContainer(r.ctx, c))
}

// join changes the endpoints of a namespace.
func (r *run) join(host, ns, verb, endpoint string) error {
	body, err := json.Marshal(map[string]any{
		"RequestType": verb, "ResourceType": "Endpoint", "Settings": map[string]string{"EndpointId": r.id(endpoint)},
	})
	if err != nil {
		return err
	}
	_, err = r.hcn(backends.HCNOp{Host: host, Kind: string(namespaceKind), Verb: "modify", ID: r.id(ns), Body: body})
	return err
}

func parseContainer(p *parser) op {
	c := backends.Container{Name: p.next("the container's name")}
	if p.accept("shares") {
		shares, n := p.role("the container to share with", containerKind)
		p.end()
		c.Shares, c.Host = shares, n.host
		p.declareContainer(c.Name, n.host, n.endpoints)
		return func(r *run) error { return r.addContainer(c) }
	}
	c.Host, _ = p.role("shares, or the host", hostKind)
	var endpoints []string
	ns := ""
	p.containerAttrs(&c, &ns, attr{name: "endpoints", set: func(v string) error {
		endpoints = strings.Split(v, ",")
		return nil
	}})
	p.namespace(ns, c.Host)
	if p.err == nil && len(endpoints) == 0 {
		p.errorf("no endpoints: expected endpoints=NAME,... or none")
	}
	if slices.Equal(endpoints, []string{"none"}) {
		endpoints = nil
	}
	for _, e := range endpoints {
		n, err := p.sc.object(endpointKind, e)
		p.check(err)
		if err == nil && n.host != c.Host {
			p.errorf("endpoint %s is on host %s, not on %s", e, n.host, c.Host)
		}
	}
	p.declareContainer(c.Name, c.Host, endpoints)
	return func(r *run) error {
		c.Endpoints = nil
		for _, e := range endpoints {
			c.Endpoints = append(c.Endpoints, r.id(e))
		}
		if ns != "" {
			c.Namespace = r.id(ns)
		}
		return r.addContainer(c)
	}
}

func (p *parser) declareContainer(who, host string, endpoints []string) {
	if p.err != nil || p.line.negate {
		return
	}
	p.check(p.sc.declareRole(who, &name{kind: containerKind, host: host, endpoints: endpoints}))
	if len(endpoints) == 0 {
		return
	}
	// The container answers to the addresses of its first endpoint.
	for _, v := range []string{"ip:", "ip6:", "mac:"} {
		if value, ok := p.sc.lookup(v + endpoints[0]); ok {
			p.sc.vars[v+who] = value
		}
	}
}

func parseAttach(p *parser, setting, verb string) op {
	who := p.next("the name")
	ns := ""
	p.attributes(nil, attr{name: "ns", set: toString(&ns)})
	if p.err != nil {
		return nil
	}
	if ns == "" {
		_, err := p.sc.role(who, containerKind)
		p.check(err)
		return settingOp(who, setting, "")
	}
	n, err := p.sc.object(endpointKind, who)
	if err != nil {
		p.check(err)
		return nil
	}
	p.namespace(ns, n.host)
	return func(r *run) error { return r.join(n.host, ns, verb, who) }
}

func parseVerb(p *parser, setting string) op {
	who, _ := p.role("the container", containerKind)
	p.end()
	return settingOp(who, setting, "")
}

func settingOp(node, setting, value string) op {
	return func(r *run) error {
		return r.refusable(r.world.Set(r.ctx, backends.Setting{Node: node, Name: setting, Value: value}))
	}
}
