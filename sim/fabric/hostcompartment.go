package fabric

import (
	"slices"
	"time"

	"github.com/hnsim/hnsim/sim/fabric/ipstack"
)

// CompartmentProgram is a compartment that exists, whether it has interfaces
// or not.
type CompartmentProgram struct {
	ID uint32
	// OwnKernel says that a kernel of its own runs in it (Hyper-V isolation):
	// what its connections leave behind goes with that kernel (rule CMP-10).
	OwnKernel bool
}

// Compartment is a network compartment (rule CMP-01).
type Compartment struct {
	ID    uint32
	Stack *ipstack.Stack
	ports *socketPorts // nil: not the host's

	ownKernel bool
	closing   bool // nobody is in it; it waits for connections in TIME_WAIT
}

// Closing reports whether the compartment has no container any more and waits
// for the host's kernel to forget its connections (rule CMP-10).
func (c *Compartment) Closing() bool { return c.closing }

// OwnKernel reports whether its kernel is not the host's.
func (c *Compartment) OwnKernel() bool { return c.ownKernel }

// Compartments lists the compartments that exist, by number; those that are
// being torn down are among them.
func (h *Host) Compartments() []*Compartment {
	out := make([]*Compartment, 0, len(h.compartments))
	for _, c := range h.compartments {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *Compartment) int { return int(a.ID) - int(b.ID) })
	return out
}

// compartment returns the compartment with that number, and makes it if there
// is none.
func (h *Host) compartment(id uint32) *Compartment {
	c := h.compartments[id]
	if c == nil {
		c = h.newCompartment(id, nil)
		h.compartments[id] = c
	}
	return c
}

// applyCompartments makes those that the program names and tears down those
// that it no longer does. An interface is enough to name its compartment.
func (h *Host) applyCompartments(now int64, before, p *HostProgram) {
	old, new := differing(before.Compartments, p.Compartments)
	oldNICs, newNICs := differing(before.Interfaces, p.Interfaces)
	for _, cp := range new {
		c := h.compartment(cp.ID)
		c.ownKernel, c.closing = cp.OwnKernel, false
	}
	for _, ip := range newNICs {
		h.compartment(ip.Compartment).closing = false
	}
	if len(old)+len(oldNICs) == 0 {
		return // nothing was taken away
	}
	named := map[uint32]bool{HostCompartment: true}
	for _, i := range p.Interfaces {
		named[i.Compartment] = true
	}
	for _, cp := range p.Compartments {
		named[cp.ID] = true
	}
	for _, c := range h.Compartments() {
		if !named[c.ID] && !c.closing {
			h.tearDown(now, c)
		}
	}
}

// tearDown ends what runs in a compartment. The host's kernel keeps it until
// its connections in TIME_WAIT are over; a kernel of its own takes them along
// (rule CMP-10).
func (h *Host) tearDown(now int64, c *Compartment) {
	c.closing = true
	c.Stack.Shutdown(now)
	h.free(now, c)
}

// free removes a closing compartment, at the latest when the last connection
// that it has now is over.
func (h *Host) free(now int64, c *Compartment) {
	if !c.closing || h.compartments[c.ID] != c {
		return // somebody moved in again, or the host was started anew
	}
	if c.ownKernel || c.Stack.TimeWaits() == 0 {
		delete(h.compartments, c.ID)
		return
	}
	// At the end itself the connections' own timers may still be waiting for
	// their turn: this one comes behind them.
	wait := time.Duration(c.Stack.TimeWaitEnd() - now)
	h.net.timers().After(wait, func(now int64) { h.free(now, c) })
}
