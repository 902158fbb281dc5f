package script

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hnsim/hnsim/backends"
)

var queryWords = []*word{
	{
		name: "query", group: "Output", args: "network|endpoint|namespace|loadbalancer|route NAME [PATH] | networks|endpoints|namespaces|loadbalancers|routes HOST",
		refusable: true,
		summary:   "print an object's document, or one value in it; or the ids of all objects of a host",
		detail:    []string{"PATH is like Ipams[0].Subnets[0].IpAddressPrefix; Policies[Type=NAT] picks the first element with that member, [len] is the length of a list. Names are matched in any case. Ids that the scenario knows are printed as names."},
		example:   "query endpoint co11 MacAddress", parse: parseQuery,
	},
	{
		name: "show", group: "Output", args: "WHAT NODE [WORD]...",
		summary: "print a view of internal state: for diagnosis and golden text of one backend",
		detail:  []string{"WHAT is the backend's: vfp, nat, ports, netstat, switch, routes, arp, state, compartments, firewall."},
		example: "show vfp h1", parse: parseShow,
	},
	{
		name: "cmp", group: "Output", args: "stdout|stderr|calls|FILE FILE", quiet: true,
		summary: "compare texts; the second is what is wanted",
		detail:  []string{"Variables in the second are replaced. `hnsim run --update` rewrites it when it differs: read the difference before you commit it."},
		example: "cmp stdout want.txt", parse: parseCmp,
	},
	{
		name: "match", group: "Output", args: "FILE", quiet: true, refusable: true,
		summary: "the JSON document on stdout must contain what FILE names",
		detail:  []string{"Members that FILE does not name may be anything; elements of its lists must occur, in that order. Variables in FILE are replaced. \"*\" matches any value."},
		example: "match want.json", parse: parseMatch,
	},
	{
		name: "json", group: "Output", args: "[PATH] [is=VALUE] [save=NAME]", quiet: true, refusable: true,
		summary: "the JSON document on stdout must have a value there, and may keep it as $NAME",
		detail:  []string{"PATH is that of query; without one it is the whole document. save= keeps text as it is and everything else as JSON."},
		example: "json ips[0].address is=10.244.1.3/24", parse: parseJSON,
	},
}

func parseQuery(p *parser) op {
	text := p.next("what it is")
	if p.err != nil {
		return nil
	}
	if one, ok := strings.CutSuffix(text, "s"); ok && slices.Contains(kindNames(), one) {
		host, _ := p.role("the host", hostKind)
		p.end()
		return func(r *run) error { return r.enumerate(host, one) }
	}
	p.i--
	k := p.objectKind(objKinds...)
	who, n := p.object(k)
	var path []step
	if p.more() {
		var err error
		path, err = parsePath(p.next(""))
		p.check(err)
	}
	p.end()
	return func(r *run) error {
		res, err := r.hcn(backends.HCNOp{Host: n.host, Kind: string(k), Verb: "query", ID: r.id(who)})
		if err != nil {
			return err
		}
		r.learn(k, who, res.Document)
		if len(path) == 0 {
			r.out.WriteString(readable(res.Document))
			return nil
		}
		value, err := walk(res.Document, path)
		if err != nil {
			return r.failure("a value there", err.Error())
		}
		r.out.WriteString(value)
		return nil
	}
}

func parseJSON(p *parser) op {
	var path []step
	if text := p.peek(); text != "" && !strings.HasPrefix(text, "is=") && !strings.HasPrefix(text, "save=") {
		var err error
		path, err = parsePath(p.next(""))
		p.check(err)
	}
	var want *string
	keep := ""
	p.attributes(nil,
		attr{name: "is", set: func(v string) error { want = &v; return nil }},
		attr{name: "save", set: func(v string) error {
			if !variableName.MatchString(v) {
				return fmt.Errorf("found %s, expected a name that begins with a small letter", quoteShort(v))
			}
			keep = v
			return nil
		}})
	switch {
	case p.err != nil:
		return nil
	case keep != "" && p.line.negate:
		p.errorf("save= in a line that expects nothing")
	case keep != "" && p.sc.static:
		p.sc.vars[keep], p.sc.saved[keep] = "1", true
	}
	return func(r *run) error {
		value, err := walk([]byte(r.state.Stdout()), path)
		if err != nil {
			return r.soft(r.failure("a value there", err.Error()))
		}
		value = strings.TrimSuffix(value, "\n")
		if want != nil && value != *want {
			return r.soft(r.failure(quoteShort(*want), quoteShort(value)))
		}
		if keep != "" {
			r.scope.vars[keep] = value
		}
		return nil
	}
}

func (r *run) enumerate(host, k string) error {
	res, err := r.hcn(backends.HCNOp{Host: host, Kind: k, Verb: "enumerate"})
	if err != nil {
		return err
	}
	var ids []string
	if err := json.Unmarshal(res.Document, &ids); err != nil {
		return fmt.Errorf("the list of ids is no JSON list of texts: %w", err)
	}
	for i, id := range ids {
		for _, v := range wordNames(r.scope.vars) {
			if who, ok := strings.CutPrefix(v, "id:"); ok && strings.EqualFold(r.scope.vars[v], id) {
				ids[i] = who
			}
		}
	}
	for _, id := range sorted(ids) {
		r.out.WriteString(id + "\n")
	}
	return nil
}

func parseShow(p *parser) op {
	what := p.next("what to show")
	_, _ = p.role("the role", roleKinds...)
	if p.err != nil {
		return nil
	}
	p.i--
	what += " " + p.rest()
	return func(r *run) error {
		text, err := r.world.Dump(r.ctx, what)
		if err != nil {
			return r.harness(err)
		}
		r.out.WriteString(text)
		if text != "" && !strings.HasSuffix(text, "\n") {
			r.out.WriteString("\n")
		}
		return nil
	}
}

func parseCmp(p *parser) op {
	left := p.next("stdout, stderr, calls or a file")
	var have *file
	if p.err == nil && !slices.Contains([]string{"stdout", "stderr", "calls"}, left) {
		have = p.namedFile(left)
	}
	want := p.file("the file with the text that is wanted")
	p.end()
	if p.err != nil {
		return nil
	}
	wanted := string(p.expandFile(want))
	return func(r *run) error {
		got := r.text(left)
		if have != nil {
			got = have.data
		}
		if got == wanted {
			return nil
		}
		if r.opt.Update {
			r.golden[want.name] = r.unexpand(got)
			return nil
		}
		return r.textFailure(want.name, wanted, got)
	}
}

// unexpand writes known ids as variables again, so that golden text does not
// hold what differs from run to run.
func (r *run) unexpand(text string) string {
	for _, v := range wordNames(r.scope.vars) {
		if value := r.scope.vars[v]; strings.HasPrefix(v, "id:") && len(value) > 8 {
			text = strings.ReplaceAll(text, value, "${"+v+"}")
		}
	}
	return text
}

// textFailure shows the first line that differs.
func (r *run) textFailure(name, want, got string) error {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	n := 0
	for n < len(w) && n < len(g) && w[n] == g[n] {
		n++
	}
	line := func(s []string) string {
		if n < len(s) {
			return quoteShort(s[n])
		}
		return "the end of the text"
	}
	return r.failure(fmt.Sprintf("the text of %s; in line %d %s", name, n+1, line(w)), line(g))
}

func parseMatch(p *parser) op {
	f := p.file("the file with what must be there")
	p.end()
	if p.err != nil {
		return nil
	}
	data := p.expandFile(f)
	if p.err != nil {
		return nil
	}
	p.check(checkDocument(f, "", data))
	return func(r *run) error {
		var want, got any
		if err := json.Unmarshal(data, &want); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(r.state.Stdout()), &got); err != nil {
			return r.soft(r.failure("a JSON document on stdout", quoteShort(firstLine(r.state.Stdout()))))
		}
		if d := contains(want, got, ""); d != nil {
			f := r.failure(d.Field+" = "+d.Want, d.Got)
			f.Failure.Closest = []FieldDiff{*d}
			return r.soft(f)
		}
		return nil
	}
}
