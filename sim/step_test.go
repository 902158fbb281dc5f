package sim

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/hns"
)

// Two worlds live through the same pods and the same traffic. In one every change
// makes the program of its host anew; in the other it exchanges what has changed
// (package hns). Nothing that can be seen differs: not one event, not one answer
// of the control plane, no drop and no counter.
func TestWorldsThatStepAndWorldsThatStartOverAreTheSame(t *testing.T) {
	for seed := range uint64(6) {
		step, over := newStepWorld(t, seed, false), newStepWorld(t, seed, true)
		for i := range 60 {
			a, b := step.turn(), over.turn()
			if a != b {
				t.Fatalf("seed %d, turn %d: %s; starting over: %s", seed, i, a, b)
			}
			if step.w.Loop().Hash() != over.w.Loop().Hash() {
				t.Fatalf("seed %d, turn %d, after %s: the events differ", seed, i, a)
			}
		}
		if a, b := step.counters(), over.counters(); a != b {
			t.Errorf("seed %d:\n%s\nstarting over:\n%s", seed, a, b)
		}
		if step.answers == 0 {
			t.Errorf("seed %d: nobody was answered", seed)
		}
	}
}

// stepWorld is two hosts with an overlay and a bridge network each.
type stepWorld struct {
	*lab
	r       *rand.Rand
	over    bool
	nets    []string
	hosts   []*Host // of nets
	pods    []stepPod
	n       int
	answers int
}

type stepPod struct {
	h      *Host
	ep, ns string
	ip     netip.Addr
}

func newStepWorld(t *testing.T, seed uint64, over bool) *stepWorld {
	w := &stepWorld{lab: newLab(t, Config{Profile: "ws2025", Seed: seed}), r: rand.New(rand.NewPCG(seed, 7)), over: over}
	docs := []string{overlayH1, overlayH2}
	if seed%2 == 1 {
		docs = []string{bridgeNet, bridgeNet}
	}
	for i, h := range []*Host{w.h1, w.h2} {
		w.nets, w.hosts = append(w.nets, w.network(h, docs[i])), append(w.hosts, h)
	}
	return w
}

// do carries out an operation on a host.
func (w *stepWorld) do(h *Host, kind hns.Kind, verb, id, parent, doc string) (string, string) {
	if w.over {
		h.compiler.Forget()
	}
	got, _, err := h.HNS.Do(kind, verb, id, parent, []byte(doc))
	return got, fmt.Sprintf("%s %s %v; ", verb, kind, err)
}

// turn changes something or sends something, and says what.
func (w *stepWorld) turn() string {
	w.n++
	defer w.settle()
	switch {
	case len(w.pods) < 3 || w.r.IntN(4) == 0:
		return w.create()
	case w.r.IntN(5) == 0:
		p := w.pods[w.r.IntN(len(w.pods))]
		_, said := w.do(p.h, "endpoint", "modify", p.ep, "", fmt.Sprintf(`{"ResourceType":"Policy","RequestType":"Update","Settings":{"Policies":[
			{"Type":"ACL","Settings":{"Action":%q,"Direction":"Out","Priority":200,"Protocols":"1"}}]}}`, []string{"Block", "Allow"}[w.r.IntN(2)]))
		return said
	case w.r.IntN(8) == 0:
		i := w.r.IntN(len(w.pods))
		p := w.pods[i]
		w.pods = append(w.pods[:i:i], w.pods[i+1:]...)
		_, said := w.do(p.h, "endpoint", "delete", p.ep, "", "")
		return said
	}
	return w.talk()
}

func (w *stepWorld) create() string {
	i := w.r.IntN(2)
	h := w.hosts[i]
	ip := netip.AddrFrom4([4]byte{10, 244, byte(i + 1), byte(20 + w.n)})
	if w.r.IntN(8) == 0 && len(w.pods) > 0 {
		ip = w.pods[w.r.IntN(len(w.pods))].ip // refused, or on the wrong host
	}
	if strings.Contains(h.State().Networks[0].Doc.Name, "br") {
		ip = netip.AddrFrom4([4]byte{10, 127, 130, byte(100 + w.n)})
	}
	nat := []string{"", `{"Type":"OutBoundNAT","Settings":{"Exceptions":["10.0.0.0/8"]}}`}[w.r.IntN(2)]
	ep, said := w.do(h, "endpoint", "create", "", w.nets[i], fmt.Sprintf(`{"SchemaVersion":{"Major":2,"Minor":0},"Name":"p%d","IpConfigurations":[{"IpAddress":%q,"PrefixLength":24}],"Policies":[%s]}`, w.n, ip, nat))
	if ep == "" {
		return said
	}
	ns, s := w.do(h, "namespace", "create", "", "", `{"Type":"Host"}`)
	said += s
	_, s = w.do(h, "namespace", "modify", ns, "", fmt.Sprintf(`{"ResourceType":"Endpoint","RequestType":"Add","Settings":{"EndpointId":%q}}`, ep))
	said += s
	if w.over {
		h.compiler.Forget()
	}
	said += fmt.Sprint(h.HNS.StartContainer(ns, "c"+ep[:8], hns.ProcessIsolated))
	w.pods = append(w.pods, stepPod{h, ep, ns, ip})
	return said
}

// talk lets one pod ping another, and the machine outside.
func (w *stepWorld) talk() string {
	a, b := w.pods[w.r.IntN(len(w.pods))], w.pods[w.r.IntN(len(w.pods))]
	c := a.h.Compartment(a.h.State().NamespaceByID(a.ns).Compartment)
	if c == nil {
		return "nobody there"
	}
	said := ""
	for _, to := range []netip.Addr{b.ip, netip.MustParseAddr("203.0.113.80")} {
		e, err := c.Stack.Ping(w.w.Loop().Now(), ipstack.PingOptions{Dst: to})
		w.settle()
		if err == nil && e.OK {
			w.answers++
		}
		said += fmt.Sprintf("%s %v %v; ", to, err, e != nil && e.OK)
	}
	return said
}

// counters are those of all switch ports.
func (w *stepWorld) counters() string {
	var b strings.Builder
	for _, h := range w.hosts {
		for _, sp := range h.Program().Switches {
			if err := h.Switch(sp.Config.Name).Dump(&b); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	return b.String()
}
