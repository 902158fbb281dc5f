package guest

import (
	"errors"
	"fmt"

	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/fabric/ipstack"
)

// Place says where a guest runs. It is looked up when the guest is attached,
// by the goroutine that owns the world.
type Place struct {
	find func() (*ipstack.Stack, error)
}

// Container is the container in an HCN namespace, given by the namespace's id.
// The namespace has its compartment when the container has been started
// (Host.HNS.StartContainer).
func Container(h *sim.Host, namespace string) Place {
	return Place{func() (*ipstack.Stack, error) {
		if h.State() == nil {
			return nil, fmt.Errorf("host %s has no namespace %s", h.Name(), namespace)
		}
		n := h.State().NamespaceByID(namespace)
		if n == nil {
			return nil, fmt.Errorf("host %s has no namespace %s", h.Name(), namespace)
		}
		return compartment(h, n.Compartment)
	}}
}

// Compartment is a network compartment of a host by its number.
func Compartment(h *sim.Host, number uint32) Place {
	return Place{func() (*ipstack.Stack, error) { return compartment(h, number) }}
}

// External is an external machine.
func External(x *fabric.External) Place {
	return Place{func() (*ipstack.Stack, error) { return x.Stack(), nil }}
}

func compartment(h *sim.Host, number uint32) (*ipstack.Stack, error) {
	if number == fabric.HostCompartment {
		return nil, fmt.Errorf("host %s: the host's own stack routes and translates for its containers; it cannot be replaced", h.Name())
	}
	c := h.Compartment(number)
	if c == nil {
		return nil, fmt.Errorf("host %s has no compartment %d", h.Name(), number)
	}
	return c.Stack, nil
}

func (p Place) stack() (*ipstack.Stack, error) {
	if p.find == nil {
		return nil, errors.New("no place")
	}
	return p.find()
}
