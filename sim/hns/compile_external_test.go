package hns

import (
	"testing"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/hcn"
)

func TestHostAttachedEndpointsAreFoundByName(t *testing.T) {
	c := NewCompiler(hcn.MustProfile(hcn.WS2022), nil, []Adapter{{Name: "Ethernet"}})
	network := &Network{Num: 1, Doc: &hcn.Network{}}
	network.Doc.Name = "cbr0"
	s := &State{Networks: []*Network{network}}
	for i, name := range []string{"cbr0_ep", "cbr0_ep", "Ethernet", "cbr0", "", "pod"} {
		e := &Endpoint{Num: uint32(i + 1), Doc: &hcn.Endpoint{}, Compartment: fabric.HostCompartment}
		e.Doc.ID, e.Doc.Name = "0000000"+string(rune('1'+i))+"-2222-4333-8444-555555555555", name
		s.Endpoints = append(s.Endpoints, e)
	}
	s.Endpoints[5].Compartment = 7
	want := []string{"cbr0_ep", "00000002", "00000003", "00000004", "00000005", "00000006"}
	for i, e := range s.Endpoints {
		if got := c.nicName(s, e); got != want[i] {
			t.Errorf("endpoint %d, %q: vEthernet (%s), want (%s)", i, e.Doc.Name, got, want[i])
		}
	}
}
