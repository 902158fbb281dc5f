package script

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

var miscWords = []*word{
	{
		name: "advance", group: "Time and settings", args: "TIME", acts: true,
		summary: "let time pass; timers fire",
		example: "advance 241s", parse: parseAdvance,
	},
	{
		name: "set", group: "Time and settings", args: "ROLE SETTING [VALUE]...", acts: true, refusable: true,
		summary: "change something that is no document",
		detail:  []string{"The backend documents its settings, and names them when one is unknown. Ports of a container: port.spoofing on|off, port.dhcpguard, port.routerguard, port.vlan, port.isolation, port.mirror, port.acl, port.extacl, port.storm. A host: nat.filtering udp=EndpointIndependent, nat.timers, nat.sessions, firewall.rule disable tcp:8080, firewall.profile in=block out=block, ports.exclude tcp:8080, ports.dynamic, socket tcp:50005, hns.restart, hns.stop, hns.start, host.reboot, host.adapter in|out, host.vfp on|off; on an outer switch also outer.spoofing, outer.cas, outer.acl, outer.limit, outer.intercept.", "Tenant networks: a virtual machine has vm.host PHYSICAL, a physical host sdn.agent on|off, a multiplexer mux on|off."},
		example: "set co11 port.spoofing on", parse: parseSet,
	},
	{
		name: "requires", group: "Conditions", args: "network.TYPE|feature:NAME|capability:NAME|profile:EXPR...", quiet: true,
		summary: "skip the scenario unless all of these hold",
		detail:  []string{"Unconditional lines are looked at before anything runs. A name without prefix is a capability (network.overlay, drops) or a feature (DSR, TierAcl). profile:>=ws2022 compares builds. Words imply what they need: drop needs capability:drops."},
		example: "requires network.overlay feature:VxlanPort", parse: parseRequires,
	},
	{
		name: "skip", group: "Conditions", args: "'REASON'", quiet: true,
		summary: "end the scenario as skipped; only useful behind a condition",
		example: "[profile:ws2016] skip 'no VFP NAT'", parse: parseSkip,
	},
	{
		name: "end", group: "Conditions", args: "", quiet: true,
		summary: "end the scenario here, as passed if nothing failed; only useful behind a condition",
		example: "[knob:loopbackPublish=off] end", parse: parseEnd,
	},
	{
		name: "echo", group: "Output", args: "TEXT...", summary: "print text to stdout",
		example: "echo $port",
		parse: func(p *parser) op {
			text := p.rest()
			return func(r *run) error { r.out.WriteString(text + "\n"); return nil }
		},
	},
	{
		name: "stdout", group: "Output", args: "[count=N] 'REGEXP'", quiet: true, refusable: true,
		summary: "what the last word printed must match; with ! must not",
		detail:  []string{"^ and $ match at lines. count=N: exactly N matches."},
		example: "stdout 'SnatPool'", parse: func(p *parser) op { return parseOutput(p, "stdout") },
	},
	{
		name: "stderr", group: "Output", args: "[count=N] 'REGEXP'", quiet: true, refusable: true,
		summary: "the refusal of the last word must match; with ! must not",
		detail:  []string{"Refusals of the service begin with the code: 0x803B0013, then its name, sentence and place in the document."},
		example: "stderr 0x803B0013", parse: func(p *parser) op { return parseOutput(p, "stderr") },
	},
	{
		name: "error", group: "Output", args: "CODE|NAME ['TEXT']", quiet: true,
		summary: "the last refusal of the control plane had this code",
		detail:  []string{"Codes are hexadecimal or names: 0x803B0013, HCN_E_PORT_ALREADY_EXISTS, 0x20. TEXT must be part of the message."},
		example: "error 0x803B001E 'IpConfigurations[0]'", parse: parseError,
	},
}

func parseAdvance(p *parser) op {
	text := p.next("the time")
	p.end()
	if p.err != nil {
		return nil
	}
	d, err := parseDuration(text)
	if err == nil && d == 0 {
		err = fmt.Errorf("advance by nothing")
	}
	p.check(err)
	return func(r *run) error { return r.harness(r.world.Advance(r.ctx, d)) }
}

// implied maps settings to the capabilities that they need.
var implied = []struct{ prefix, capability string }{
	{"port.", "switch-ports"}, {"socket", "host-sockets"}, {"ports.", "host-sockets"}, {"hns.", "service-state"}, {"host.", "service-state"}, {"outer.", "outer-switch"},
}

func parseSet(p *parser) op {
	who, _ := p.role("the role", roleKinds...)
	setting := p.next("the setting")
	value := p.rest()
	for _, i := range implied {
		if p.err == nil && strings.HasPrefix(setting, i.prefix) {
			p.sc.need("capability:" + i.capability)
		}
	}
	return settingOp(who, setting, value)
}

func parseRequires(p *parser) op {
	var all []string
	for p.more() {
		req, err := parseRequirement(p.next(""))
		p.check(err)
		all = append(all, req)
	}
	if p.err == nil && len(all) == 0 {
		p.errorf("nothing is required; usage: %s %s", p.word.name, p.word.args)
	}
	if p.err == nil {
		for _, req := range all {
			p.sc.need(req)
		}
	}
	return func(r *run) error {
		for _, req := range all {
			if reason := r.env.lacks(req); reason != "" {
				return &skipError{reason}
			}
		}
		return nil
	}
}

func parseSkip(p *parser) op {
	reason := strings.TrimSpace(p.rest())
	if p.err == nil && reason == "" {
		p.errorf("a skip needs a reason")
	}
	if p.err == nil && len(p.line.conds) == 0 {
		p.errorf("an unconditional skip: the scenario could never run")
	}
	return func(r *run) error { return &skipError{reason} }
}

func parseEnd(p *parser) op {
	p.end()
	if p.err == nil && len(p.line.conds) == 0 {
		p.errorf("an unconditional end: the lines below could never run")
	}
	return func(r *run) error { return errStop }
}

func parseOutput(p *parser, which string) op {
	count := -1
	if n, ok := strings.CutPrefix(p.peek(), "count="); ok {
		p.i++
		p.check(toUint(&count, maxCount)(n))
	}
	text := p.next("the regular expression")
	p.end()
	if p.err != nil {
		return nil
	}
	re, err := regexp.Compile("(?m)" + text)
	if err != nil {
		p.errorf("bad regular expression %s: %w", quoteShort(text), err)
		return nil
	}
	return func(r *run) error {
		got := r.text(which)
		found := len(re.FindAllStringIndex(got, -1))
		if count < 0 && found > 0 || found == count {
			return nil
		}
		want := fmt.Sprintf("%s that matches '%s'", which, text)
		if count >= 0 {
			want = fmt.Sprintf("%s with %d matches of '%s'", which, count, text)
		}
		if got == "" {
			got = "nothing"
		}
		return r.soft(r.failure(want, strings.TrimRight(got, "\n")))
	}
}

// text is what the last word printed, or what the last program called.
func (r *run) text(which string) string {
	switch which {
	case "stderr":
		return r.state.Stderr()
	case "calls":
		return r.prog.calls
	}
	return r.state.Stdout()
}

func parseError(p *parser) op {
	code := p.next("the code")
	var text string
	if p.more() {
		text = p.next("")
	}
	p.end()
	if p.err != nil {
		return nil
	}
	want, err := hcn.ParseCode(code)
	p.check(err)
	return func(r *run) error {
		expected := "the error " + want.String()
		if text != "" {
			expected += " with '" + text + "'"
		}
		switch {
		case r.refused == nil:
			return r.failure(expected, "no operation was refused")
		case r.refused.Code != want || !strings.Contains(r.refused.Error(), text):
			return r.failure(expected, r.refused.Error())
		}
		return nil
	}
}

// parseRequirement brings a requirement into its full form and checks its name.
func parseRequirement(text string) (string, error) {
	kindOf, name, ok := strings.Cut(text, ":")
	if !ok {
		name = text
		kindOf = "capability"
		if f, found := hcn.FindFeature(text); found {
			kindOf, name = "feature", f.Name
		}
	}
	switch kindOf {
	case "capability":
		if !slices.Contains(capabilityNames(), name) {
			known := append(capabilityNames(), featureNames()...)
			if ok {
				known = capabilityNames()
			}
			return "", fmt.Errorf("unknown capability or feature %s%s", quoteShort(name), didYouMean(name, known))
		}
	case "feature":
		f, found := hcn.FindFeature(name)
		if !found {
			return "", fmt.Errorf("unknown feature %s%s", quoteShort(name), didYouMean(name, featureNames()))
		}
		name = f.Name
	case "profile":
		if _, err := profileSet(name); err != nil {
			return "", err
		}
	default:
		kinds := []string{"capability", "feature", "profile"}
		return "", fmt.Errorf("found %s, expected capability:, feature: or profile:%s", quoteShort(text), didYouMean(kindOf, kinds))
	}
	return kindOf + ":" + name, nil
}

func capabilityNames() []string {
	var out []string
	for _, c := range backends.Capabilities() {
		out = append(out, string(c))
	}
	return out
}

func featureNames() []string {
	var out []string
	for _, f := range hcn.Features() {
		out = append(out, f.Name)
	}
	return out
}
