package script

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

var programWords = []*word{
	{
		name: "exec", group: "Programs", args: "HOST [stdin=FILE] [files=FILE,...] [env=KEY=VALUE]... [timeout=TIME] [tick=TIME] PROGRAM [ARG]...",
		refusable: true, acts: true, needs: []string{"capability:programs"},
		summary: "run a Windows program on a host; what it asks of HNS, that host's HNS does",
		detail: []string{
			"What follows PROGRAM is the program's. It is looked for beside the scenario and then in the folders of `hnsim run --programs`, .exe may be left out. The exit code must be 0, with ! it must not. stdout and stderr are what it printed.",
			"Its current folder, ${dir:work}, is empty at first and kept from exec to exec. files= puts files of the scenario there, variables replaced. ${dir:programs} are the folders of programs, as a list for a PATH. Where hnsim may make a network namespace, the program sees the interfaces of its host, else those of this machine.",
			"timeout= bounds it on the wall clock (default 1m). Virtual time does not depend on that: tick= passes with each of its calls of HNS (default 1ms).",
		},
		example: "exec h1 stdin=conf.json env=CNI_COMMAND=ADD win-bridge",
		parse:   parseExec,
	},
	{
		name: "env", group: "Programs", args: "KEY=VALUE...", quiet: true,
		summary: "set environment variables of the programs that run from here on",
		example: "env CNI_PATH=${dir:programs} CNI_IFNAME=eth0",
		parse:   parseEnv,
	},
	{
		name: "calls", group: "Programs", args: "[count=N] 'REGEXP'", quiet: true, refusable: true,
		summary: "the calls of HNS that the last program made must match; with ! must not",
		detail:  []string{"One line a call: function, method and path of HNSCall, the code if it is not 0. A line \"leaked N handles\" follows if the program left some open. `cmp calls FILE` compares all of it."},
		example: "calls '^HcnCreateEndpoint$'",
		parse:   func(p *parser) op { return parseOutput(p, "calls") },
	},
	{
		name: "adopt", group: "Programs", args: "NAME HOST name=TEXT|id=ID [isolation=process|hyperv]", acts: true,
		summary: "give a name to an endpoint that a program created, and to the container that uses it",
		detail: []string{
			"The endpoint must be attached. The container is started in the endpoint's namespace, unless a container NAME exists: then the endpoint must be that one's.",
			"Defines ${id:NAME}, ${mac:NAME}, ${ip:NAME} and ${ip6:NAME}.",
		},
		example: "adopt pod1 h1 name=c1_cbr0",
		parse:   parseAdopt,
	},
}

const defaultProgramTime, defaultTick = time.Minute, time.Millisecond

func parseExec(p *parser) op {
	x := &execution{timeout: defaultProgramTime, tick: defaultTick}
	x.host, _ = p.role("the host", hostKind)
	attrs := []attr{
		{name: "stdin", set: func(v string) error { x.stdin = p.expandFile(p.namedFile(v)); return nil }},
		{name: "files", set: func(v string) error { return p.programFiles(x, v) }},
		{name: "env", many: true, set: func(v string) error { return x.setEnv(v) }},
		{name: "timeout", set: toPositive(&x.timeout)},
		{name: "tick", set: toDuration(&x.tick)},
	}
	seen := map[string]bool{}
	for strings.Contains(p.peek(), "=") {
		p.attribute(p.next(""), attrs, seen)
	}
	x.program = p.next("the program")
	p.sc.programTime += x.timeout
	for p.more() {
		x.args = append(x.args, p.next(""))
	}
	return x.run
}

func toPositive(dst *time.Duration) func(string) error {
	return func(v string) error {
		err := toDuration(dst)(v)
		if err == nil && *dst == 0 {
			err = errors.New("no time at all")
		}
		return err
	}
}

func parseEnv(p *parser) op {
	x := &execution{}
	for p.more() {
		p.check(x.setEnv(p.next("")))
	}
	if p.err == nil && len(x.env) == 0 {
		p.errorf("no variable; usage: %s %s", p.word.name, p.word.args)
	}
	return func(r *run) error {
		r.prog.env = append(r.prog.env, x.env...)
		return nil
	}
}

func parseAdopt(p *parser) op {
	who := p.next("the name")
	host, _ := p.role("the host", hostKind)
	var label, id string
	c := backends.Container{Name: who, Host: host}
	p.attributes(nil, attr{name: "name", set: toString(&label)}, attr{name: "id", set: toString(&id)}, attr{name: "isolation", set: toIsolation(&c.Isolation)})
	switch {
	case p.err != nil:
		return nil
	case (label == "") == (id == ""):
		p.errorf("which endpoint: expected name=TEXT or id=ID")
		return nil
	}
	p.declare(who, &name{kind: endpointKind, host: host})
	role, exists := p.sc.roles[who]
	if exists = exists && role.kind == containerKind && role.host == host && len(role.endpoints) == 0; !exists {
		p.check(p.sc.declareRole(who, &name{kind: containerKind, host: host, endpoints: []string{who}}))
	}
	return func(r *run) error {
		e, doc, err := r.findEndpoint(host, label, id)
		if err != nil {
			return err
		}
		r.scope.vars["id:"+who] = e.ID
		r.learn(endpointKind, who, doc)
		if exists {
			return r.pluggedInto(host, who, e)
		}
		if e.HostComputeNamespace == "" || e.HostComputeNamespace == hcn.ZeroGUID {
			return r.failure(fmt.Sprintf("endpoint %s in a namespace", e.Name), "it is in none")
		}
		c.Endpoints = []string{e.ID}
		return r.addContainer(c)
	}
}

// findEndpoint looks through the host's endpoints for the one of that name, or
// of that id.
func (r *run) findEndpoint(host, label, id string) (*hcn.Endpoint, json.RawMessage, error) {
	list, err := r.hcn(backends.HCNOp{Host: host, Kind: string(endpointKind), Verb: "enumerate"})
	if err != nil {
		return nil, nil, err
	}
	var ids, others []string
	if err := json.Unmarshal(list.Document, &ids); err != nil {
		return nil, nil, fmt.Errorf("the list of ids is no JSON list of texts: %w", err)
	}
	var found []*hcn.Endpoint
	var doc json.RawMessage
	for _, at := range ids {
		res, err := r.hcn(backends.HCNOp{Host: host, Kind: string(endpointKind), Verb: "query", ID: at})
		if err != nil {
			return nil, nil, err
		}
		e, err := hcn.DecodeEndpoint(res.Document)
		if err != nil {
			return nil, nil, err
		}
		e.ID = at
		if strings.EqualFold(id, at) || id == "" && label == e.Name {
			found, doc = append(found, e), res.Document
		}
		others = append(others, e.Name)
	}
	if len(found) == 1 {
		return found[0], doc, nil
	}
	got := fmt.Sprintf("%d of them", len(found))
	switch {
	case len(ids) == 0:
		got = "no endpoint at all"
	case len(found) == 0:
		got = "endpoints " + strings.Join(sorted(others), ", ")
	}
	return nil, nil, r.failure(fmt.Sprintf("one endpoint %s on %s", label+id, host), got)
}

// pluggedInto checks that a container that the scenario made has the endpoint.
// Only the v1 document says so.
func (r *run) pluggedInto(host, container string, e *hcn.Endpoint) error {
	res, err := r.hcn(backends.HCNOp{Host: host, Kind: "hnscall", Verb: "GET", Path: "/endpoints/" + e.ID})
	if err != nil {
		return err
	}
	var doc struct{ SharedContainers []string }
	if err := json.Unmarshal(envelopeOutput(res.Document), &doc); err != nil {
		return fmt.Errorf("endpoint %s: %w", e.Name, err)
	}
	for _, c := range doc.SharedContainers {
		if strings.EqualFold(c, container) {
			return nil
		}
	}
	return r.failure(fmt.Sprintf("endpoint %s in container %s", e.Name, container), fmt.Sprintf("it is in %q", doc.SharedContainers))
}
