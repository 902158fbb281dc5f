package hns

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
)

// walker does random operations on a host: right ones, wrong ones, and ones
// that the data plane refuses.
type walker struct {
	h *host
	r *rand.Rand
	n int
}

func (w *walker) pick(kind Kind) string {
	ids := w.h.ids(kind, "")
	if len(ids) == 0 || w.r.IntN(20) == 0 {
		return unknownID
	}
	return ids[w.r.IntN(len(ids))]
}

func (w *walker) step() error {
	w.n++
	h, r := w.h, w.r
	name := fmt.Sprintf("o%d", r.IntN(8))
	switch r.IntN(16) {
	case 0:
		docs := []string{natDoc, bridgeDoc, overlayDoc, transparentDoc, `{"Name":"` + name + `","Type":"NAT"}`, `{"Name":"` + name + `","Type":"Private"}`}
		_, err := h.CreateNetwork("", []byte(docs[r.IntN(len(docs))]))
		return err
	case 1, 2, 3:
		_, err := h.CreateEndpoint(w.pick(NetworkKind), "", []byte(withPolicies(name, portMapping(6, 80, r.IntN(3)*8080))))
		return err
	case 4:
		_, err := h.CreateEndpoint(w.pick(NetworkKind), "", []byte(`{"HostComputeNamespace":"`+w.pick(NamespaceKind)+`"}`))
		return err
	case 5:
		_, err := h.CreateNamespace("", []byte(`{"Type":"`+[]string{"Host", "HostDefault", "Guest"}[r.IntN(3)]+`"}`))
		return err
	case 6:
		return h.join(w.pick(NamespaceKind), w.pick(EndpointKind))
	case 7:
		return h.modify(NamespaceKind, w.pick(NamespaceKind), "Endpoint", "Remove", `{"EndpointId":"`+w.pick(EndpointKind)+`"}`)
	case 8:
		return h.StartContainer(w.pick(NamespaceKind), name, []Isolation{ProcessIsolated, HyperVIsolated}[r.IntN(2)])
	case 9:
		return h.StopContainer(w.pick(NamespaceKind), name)
	case 10:
		return h.AttachEndpoint(w.pick(EndpointKind), AttachRequest{SystemType: []SystemType{ToContainer, ToHost, ToVirtualMachine}[r.IntN(3)], ContainerID: name})
	case 11:
		return h.DetachEndpoint(w.pick(EndpointKind), AttachRequest{ContainerID: name})
	case 12:
		_, err := h.CreateLoadBalancer("", []byte(balancerDoc(fmt.Sprintf("10.96.0.%d", r.IntN(4)), w.pick(EndpointKind))))
		return err
	case 13:
		return h.modify(EndpointKind, w.pick(EndpointKind), "Policy", []string{"Add", "Update", "Remove", "Reset"}[r.IntN(4)],
			`{"Policies":[`+portMapping(6, 80, r.IntN(2)*9090)+`]}`)
	case 14:
		kinds := []Kind{EndpointKind, EndpointKind, NamespaceKind, LoadBalancerKind, NetworkKind}
		k := kinds[r.IntN(len(kinds))]
		return h.Delete(k, w.pick(k))
	}
	switch r.IntN(12) {
	case 0:
		return h.Reboot()
	case 1:
		return h.Restart()
	}
	return nil
}

func TestRandomOperationsKeepTheInvariants(t *testing.T) {
	for seed := uint64(0); seed < 60; seed++ {
		h := mkHost(t, []string{hcn.WS2016, hcn.WS2019, hcn.WS2022, hcn.WS2025}[seed%4])
		w := &walker{h: h, r: rand.New(rand.NewPCG(seed, 2))}
		succeeded := 0
		for i := 0; i < 150; i++ {
			h.refuse = nil
			if w.r.IntN(10) == 0 {
				h.refuse = hcn.Errorf(hcn.ErrPortAlreadyExists, "refused")
			}
			before := h.State()
			if err := w.step(); err == nil {
				succeeded++
			} else if h.State() != before {
				t.Fatalf("seed %d, step %d: failed with %v and changed the state", seed, i, err)
			}
			if !h.Running() { // a start that was refused
				h.refuse = nil
				h.must(h.Start())
			}
			checkInvariants(t, h.State())
			if t.Failed() {
				t.Fatalf("seed %d, step %d", seed, i)
			}
		}
		if succeeded < 30 {
			t.Errorf("seed %d: only %d operations succeeded", seed, succeeded)
		}
	}
}

// FuzzHNSCall sends any request to a populated service.
func FuzzHNSCall(f *testing.F) {
	f.Add("POST", "/networks/", natDoc)
	f.Add("POST", "/endpoints/", `{"VirtualNetwork":"`+unknownID+`","Policies":[{"Type":"NAT","Protocol":"TCP","InternalPort":80}]}`)
	f.Add("POST", "/endpoints/"+unknownID+"/attach", `{"SystemType":"Container","ContainerId":"c"}`)
	f.Add("POST", "/namespaces/", `{"IsDefault":true}`)
	f.Add("POST", "/policylists/", `{"References":["/endpoints/`+unknownID+`"],"Policies":[{"Type":"ELB","Protocol":6,"InternalPort":1,"ExternalPort":2}]}`)
	f.Add("GET", "/globals/version", "")
	f.Fuzz(func(t *testing.T, method, path, body string) {
		h := mkHost(t, hcn.WS2025)
		net := h.create(NetworkKind, "", `{"ID":"`+unknownID+`","Name":"n","Type":"NAT"}`)
		h.create(EndpointKind, net, `{"ID":"`+strings.Replace(unknownID, "1", "2", 1)+`"}`)
		raw, hr := h.HNSCall(method, path, []byte(body))
		if hr != 0 || len(raw) == 0 {
			t.Fatalf("%v %s", hr, raw)
		}
		if _, err := hcn.ParseQuery(raw); err != nil && raw[0] != '{' {
			t.Fatalf("the answer is no envelope: %s", raw)
		}
		checkInvariants(t, h.State())
	})
}
