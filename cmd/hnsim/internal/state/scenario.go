package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"

	"github.com/hnsim/hnsim/sim/hcn"
)

// Step is one object of a state in the form in which it is made again.
type Step struct {
	Kind string
	Name string // for scenarios: unique, a word
	ID   string
	On   string // name of the network of an endpoint
	NS   string // name of its namespace
	Doc  []byte // settings to create it with
	// Remote endpoints and those without an address have no container.
	Remote bool
}

// Steps are what makes the state again, in order. notes say what was left out
// and why.
func (s *State) Steps() (steps []Step, notes []string) {
	b := &builder{names: map[string]bool{"h1": true, "x": true, "r": true}, byID: map[string]string{}, used: map[string]bool{}}
	for _, o := range s.Objects["endpoint"] {
		if e, err := hcn.DecodeStored[hcn.Endpoint](o.Doc); err == nil {
			b.used[strings.ToLower(e.HostComputeNamespace)] = true
		}
	}
	for _, o := range s.Objects["network"] {
		b.network(o)
	}
	for _, o := range s.Objects["namespace"] {
		b.namespace(o)
	}
	for _, o := range s.Objects["endpoint"] {
		b.endpoint(o)
	}
	for _, o := range s.Objects["loadbalancer"] {
		b.balancer(o)
	}
	for _, o := range s.Objects["route"] {
		b.route(o)
	}
	return b.steps, b.notes
}

type builder struct {
	names map[string]bool
	byID  map[string]string // lower case
	used  map[string]bool   // namespaces with endpoints
	steps []Step
	notes []string
}

var notWord = regexp.MustCompile(`[^A-Za-z0-9_]+`)

// name makes a word of an object's name that no other has.
func (b *builder) name(kind, name, id string) string {
	word := strings.Trim(notWord.ReplaceAllString(name, "_"), "_")
	if word == "" || word[0] >= '0' && word[0] <= '9' {
		word = strings.TrimRight(kind+"_"+word, "_")
	}
	const limit = 40
	word = word[:min(len(word), limit)]
	out := word
	for i := 2; b.names[out]; i++ {
		out = fmt.Sprintf("%s_%d", word, i)
	}
	b.names[out] = true
	if id != "" {
		b.byID[strings.ToLower(id)] = out
	}
	return out
}

func (b *builder) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
}

// filledIn are members that HNS writes and takes from nobody.
var filledIn = []string{"ActivityId", "AdditionalParams", "Resources", "CurrentEndpointCount", "MaxConcurrentEndpoints", "TotalEndpoints", "State", "Version",
	"CreateProcessingStartTime", "VirtualNetworkName", "IPSubnetId", "IPv6SubnetId", "SharedContainers", "Extensions", "NatName", "LayeredOn", "SwitchGuid", "SwitchName"}

func ownOnly(e hcn.Extras) hcn.Extras {
	return slices.DeleteFunc(slices.Clone(e), func(m hcn.Member) bool {
		return slices.ContainsFunc(filledIn, func(f string) bool { return strings.EqualFold(f, m.Name) })
	})
}

func (b *builder) network(o Object) {
	n, err := hcn.DecodeStored[hcn.Network](o.Doc)
	if err != nil {
		b.note("network %s is left out: %v", o.Name, err)
		return
	}
	n.Health, n.Extras = hcn.Health{}, ownOnly(n.Extras)
	n.SchemaVersion = hcn.SchemaVersion{Major: 2}
	for _, s := range n.Subnets() {
		s.Health = hcn.Health{}
	}
	id := n.ID
	n.ID = ""
	b.steps = append(b.steps, Step{Kind: "network", Name: b.name("network", n.Name, id), ID: id, Doc: n.Encode(hcn.V2)})
}

func (b *builder) namespace(o Object) {
	n, err := hcn.DecodeStored[hcn.Namespace](o.Doc)
	switch {
	case err != nil:
		b.note("namespace %s is left out: %v", o.ID, err)
		return
	case n.Type == hcn.HostDefaultNamespace:
		b.note("the host's default namespace is there already")
		return
	case !b.used[strings.ToLower(n.ID)]:
		b.note("namespace %s has no endpoint and is left out", o.ID)
		return
	}
	doc, err := json.Marshal(map[string]any{"Type": "Host", "SchemaVersion": map[string]int{"Major": 2, "Minor": 0}})
	if err != nil {
		return // constants
	}
	b.steps = append(b.steps, Step{Kind: "namespace", Name: b.name("namespace", "", n.ID), ID: n.ID, Doc: doc})
}

func (b *builder) endpoint(o Object) {
	e, err := hcn.DecodeStored[hcn.Endpoint](o.Doc)
	if err != nil {
		b.note("endpoint %s is left out: %v", o.Name, err)
		return
	}
	on := b.byID[strings.ToLower(e.HostComputeNetwork)]
	if on == "" && e.HostComputeNetwork == "" {
		b.note("endpoint %s is left out: it names no network", firstOf(o.Name, o.ID))
		return
	}
	if on == "" {
		b.note("endpoint %s is left out: its network %s is not in the state; import its network's file, too", firstOf(o.Name, o.ID), e.HostComputeNetwork)
		return
	}
	st := Step{Kind: "endpoint", On: on, NS: b.byID[strings.ToLower(e.HostComputeNamespace)], ID: e.ID, Remote: e.Flags&hcn.RemoteEndpoint != 0}
	e.Health, e.Extras, e.HostComputeNamespace, e.HostComputeNetwork, e.ID = hcn.Health{}, ownOnly(e.Extras), "", "", ""
	e.SchemaVersion = hcn.SchemaVersion{Major: 2}
	for i := range e.IpConfigurations {
		e.IpConfigurations[i].IpSubnetId = ""
	}
	st.Name, st.Doc = b.name("endpoint", e.Name, st.ID), e.Encode(hcn.V2)
	b.steps = append(b.steps, st)
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// members checks that the endpoints of an object are there, and names them.
func (b *builder) members(what string, ids []string) (names []string, ok bool) {
	for _, id := range ids {
		name := b.byID[strings.ToLower(id)]
		if name == "" {
			b.note("%s is left out: its endpoint %s is not in the state", what, id)
			return nil, false
		}
		names = append(names, "${id:"+name+"}")
	}
	return names, true
}

func (b *builder) balancer(o Object) {
	l, err := hcn.DecodeStored[hcn.LoadBalancer](o.Doc)
	if err != nil {
		b.note("load balancer %s is left out: %v", o.ID, err)
		return
	}
	names, ok := b.members("load balancer "+o.ID, l.HostComputeEndpoints)
	if !ok {
		return
	}
	l.Health, l.Extras, l.HostComputeEndpoints, l.ID, l.HostComputeNetwork = hcn.Health{}, ownOnly(l.Extras), names, "", ""
	l.SchemaVersion = hcn.SchemaVersion{Major: 2}
	b.steps = append(b.steps, Step{Kind: "loadbalancer", Name: b.name("loadbalancer", o.Name, o.ID), ID: o.ID, Doc: l.Encode(hcn.V2)})
}

func (b *builder) route(o Object) {
	r, err := hcn.DecodeStored[hcn.SDNRoute](o.Doc)
	if err != nil {
		b.note("route %s is left out: %v", o.ID, err)
		return
	}
	names, ok := b.members("route "+o.ID, r.HostComputeEndpoints)
	if !ok {
		return
	}
	r.Health, r.Extras, r.HostComputeEndpoints, r.ID = hcn.Health{}, ownOnly(r.Extras), names, ""
	r.SchemaVersion = hcn.SchemaVersion{Major: 2}
	b.steps = append(b.steps, Step{Kind: "route", Name: b.name("route", "", o.ID), ID: o.ID, Doc: r.Encode(hcn.V2)})
}

// Options are what a scenario has that the state does not say.
type Options struct {
	ID      string       // "IMPORTED-01"
	Title   string       // of the scenario
	Address netip.Prefix // of the host; invalid: what the state says, or a default
	Profile string       // for a requires line; empty: none
}

// defaultAddress is the host's if nobody knows another.
var defaultAddress = netip.MustParsePrefix("10.127.130.35/24")

// Scenario makes a file that `hnsim run` runs: it makes every object and asks
// for it.
func (s *State) Scenario(o Options) (text []byte, notes []string, err error) {
	steps, notes := s.Steps()
	if len(steps) == 0 {
		return nil, notes, fmt.Errorf("there is nothing to make a scenario of: %s found", s.Count())
	}
	addr, gateway := o.Address, netip.Addr{}
	if !addr.IsValid() {
		addr = s.hostAddress()
	}
	gateway = s.gateway(addr)
	var w bytes.Buffer
	fmt.Fprintf(&w, "# %s: %s\n# rules: B.1\n# labels: control\n#\n# Made by hnsim import", o.ID, o.Title)
	if s.Version != "" {
		fmt.Fprintf(&w, " of a host with HNS %s", s.Version)
	}
	fmt.Fprintf(&w, ": %s. Add what the packets should do.\n", s.Count())
	for _, n := range notes {
		fmt.Fprintf(&w, "# - %s\n", oneLine(n))
	}
	w.WriteByte('\n')
	if gateway.IsValid() {
		fmt.Fprintf(&w, "router r lan=%s/%d\n", gateway, addr.Bits())
	}
	fmt.Fprintf(&w, "host h1 ip=%s\n", addr)
	ar := &txtar.Archive{}
	for _, st := range steps {
		file := st.Name + ".json"
		w.WriteString(st.line(file) + "\n")
		if st.Kind != "namespace" {
			var doc bytes.Buffer
			if err := json.Indent(&doc, st.Doc, "", " "); err != nil {
				return nil, notes, fmt.Errorf("%s %s: %w", st.Kind, st.Name, err)
			}
			doc.WriteByte('\n')
			ar.Files = append(ar.Files, txtar.File{Name: file, Data: doc.Bytes()})
		}
	}
	ar.Comment = w.Bytes()
	return txtar.Format(ar), notes, nil
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// line is the word of a scenario that makes the object.
func (st *Step) line(file string) string {
	switch st.Kind {
	case "namespace":
		return "namespace h1 " + st.Name
	case "endpoint":
		out := fmt.Sprintf("endpoint %s %s %s", st.Name, st.On, file)
		if st.NS != "" && !st.Remote {
			out += " ns=" + st.NS
		}
		if st.Remote {
			return out
		}
		if st.NS == "" {
			out += " noattach"
		}
		return out
	}
	return fmt.Sprintf("%s h1 %s %s", st.Kind, st.Name, file)
}

// hostAddress is what the networks say about the host: the provider address of
// an overlay, or an address beside the gateway of a network on the host's own
// subnet.
func (s *State) hostAddress() netip.Prefix {
	for _, o := range s.Objects["network"] {
		n, err := hcn.DecodeStored[hcn.Network](o.Doc)
		if err != nil {
			continue
		}
		for _, p := range hcn.FindPolicies(n.Policies, hcn.PolicyProviderAddress) {
			if st, err := hcn.DecodeSettings[hcn.ProviderAddressSettings](p); err == nil {
				if a, err := netip.ParseAddr(st.ProviderAddress); err == nil && a.Is4() {
					return netip.PrefixFrom(a, s.bitsAround(a))
				}
			}
		}
	}
	return defaultAddress
}

// bitsAround is the length of the subnet that an address of the host is in.
func (s *State) bitsAround(a netip.Addr) int {
	for _, o := range s.Objects["network"] {
		n, err := hcn.DecodeStored[hcn.Network](o.Doc)
		if err != nil || n.Type == hcn.Overlay || n.Type == hcn.NAT {
			continue
		}
		for _, sub := range n.Subnets() {
			if p, err := netip.ParsePrefix(sub.IpAddressPrefix); err == nil && p.Contains(a) {
				return p.Bits()
			}
		}
	}
	return 24
}

// gateway is that of a network on the host's own subnet.
func (s *State) gateway(host netip.Prefix) netip.Addr {
	for _, o := range s.Objects["network"] {
		n, err := hcn.DecodeStored[hcn.Network](o.Doc)
		if err != nil || n.Type == hcn.Overlay || n.Type == hcn.NAT {
			continue
		}
		for _, sub := range n.Subnets() {
			for _, r := range sub.Routes {
				if a, err := netip.ParseAddr(r.NextHop); err == nil && host.Contains(a) && a != host.Addr() {
					return a
				}
			}
		}
	}
	return netip.Addr{}
}
