package simulated

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/sdn"
)

var _ backends.NetworkController = (*world)(nil)

// paSuffix follows a physical host's name in the name of its compartment with
// the provider addresses.
const paSuffix = "-pa"

// SDN carries out a request to the network controller.
func (w *world) SDN(_ context.Context, op backends.SDNOp) (json.RawMessage, error) {
	ctl := w.sim.Controller()
	var doc json.RawMessage
	var err error
	switch op.Verb {
	case "put":
		doc, err = ctl.Put(op.Path, op.Body)
	case "get":
		doc, err = ctl.Get(op.Path)
	case "delete":
		err = ctl.Delete(op.Path)
	case "load":
		err = ctl.Load(op.Body)
	default:
		return nil, usage("sdn %s: expected put, get, delete or load", op.Verb)
	}
	if serr := w.settle(); serr != nil {
		return doc, serr
	}
	var refused *sdn.Error
	if errors.As(err, &refused) {
		return nil, &backends.RefusedError{Code: fmt.Sprintf("%d %s", refused.Status, refused.Code), Msg: refused.Error()}
	}
	return doc, err
}

// addMachine adds a physical host or a multiplexer.
func (w *world) addMachine(n backends.Node) (*node, error) {
	i := n.Ifaces[0]
	cfg := sim.PhysicalConfig{Name: n.Name, Segment: segment(i), Adapter: i.Name, MAC: i.MAC, Addrs: i.Addrs, Gateway: w.gateway(i), MTU: i.MTU, VLAN: i.VLAN}
	if n.Kind == backends.MuxNode {
		m, err := w.sim.AddMux(cfg)
		if err != nil {
			return nil, usage("mux %s: %v", n.Name, err)
		}
		return &node{machine: m.Host, stack: m.Stack, nics: []*fabric.NIC{m.NIC("")}}, nil
	}
	if text := n.Options["management"]; text != "" {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, usage("physical %s: management address %q: expected a prefix", n.Name, text)
		}
		cfg.Management = p
	}
	p, err := w.sim.AddPhysical(cfg)
	if err != nil {
		return nil, usage("physical %s: %v", n.Name, err)
	}
	pa := &node{kind: n.Kind, machine: p.Host, nics: []*fabric.NIC{p.NIC("")}, stack: func() *ipstack.Stack { return p.Compartment(sdn.PACompartment).Stack }}
	w.nodes[n.Name+paSuffix] = pa
	return &node{machine: p.Host, stack: p.Stack, nics: pa.nics}, nil
}

// place makes a place for a node that is a virtual machine, and turns its first
// interface into that machine's NIC. A gateway that is not given is the
// distributed router's address.
func (w *world) place(n *backends.Node) error {
	if n.On == "" {
		return nil
	}
	if len(n.Ifaces) != 1 || len(n.Outer) > 0 {
		return usage("%s %s: a virtual machine on a physical host has one NIC and no outer switch", n.Kind, n.Name)
	}
	n.Ifaces = append([]backends.Iface(nil), n.Ifaces...)
	i := &n.Ifaces[0]
	if i.MAC.IsZero() {
		i.MAC = w.sim.Net.MAC(n.Name, 0)
	}
	seg, err := w.sim.PlaceVM(n.On, n.Name, i.MAC)
	if err != nil {
		return usage("%s %s: %v", n.Kind, n.Name, err)
	}
	i.Segment = seg
	if !i.Gateway.IsValid() && len(i.Addrs) > 0 {
		if gw := i.Addrs[0].Masked().Addr().Next(); gw != i.Addrs[0].Addr() {
			i.Gateway = gw
		}
	}
	return nil
}

// moveVM, setAgent and setMux are settings; see doc.go.
func moveVM(w *world, s backends.Setting) error {
	return asUsage(w.sim.MoveVM(s.Node, s.Value))
}

func setAgent(w *world, s backends.Setting) error {
	on, err := onOff(s.Name, s.Value)
	if err != nil {
		return err
	}
	return asUsage(w.sim.SetAgent(s.Node, on))
}

func setMux(w *world, s backends.Setting) error {
	on, err := onOff(s.Name, s.Value)
	if err != nil {
		return err
	}
	return asUsage(w.sim.SetMux(s.Node, on))
}
