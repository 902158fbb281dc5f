package hns

import (
	"fmt"
	"slices"

	"github.com/hnsim/hnsim/sim/hcn"
)

// StartContainer runs a container in a namespace: the first one makes the
// compartment, and the namespace's endpoints become attached (CMP-07, CMP-08).
// isolation "" is process isolation.
func (s *Service) StartContainer(namespace, container string, isolation Isolation) error {
	return s.change(func(t *tx) error {
		n := t.next.NamespaceByID(namespace)
		if n == nil {
			return namespaceNotFound(namespace)
		}
		return t.startContainer(n, container, isolation)
	})
}

// StopContainer ends a container. The compartment goes with the last one; its
// number is never used again in the session (F.4).
func (s *Service) StopContainer(namespace, container string) error {
	return s.change(func(t *tx) error {
		n := t.next.NamespaceByID(namespace)
		if n == nil {
			return namespaceNotFound(namespace)
		}
		return t.stopContainer(n, container)
	})
}

func (t *tx) startContainer(n *Namespace, container string, isolation Isolation) error {
	if container == "" {
		return hcn.ErrorAt(hcn.ErrInvalidParameter, "Settings.ContainerId", "nothing", "the id of a container")
	}
	if isolation == "" {
		isolation = ProcessIsolated
	}
	if isolation != ProcessIsolated && isolation != HyperVIsolated {
		return hcn.Errorf(hcn.ErrInvalidParameter, "no isolation %q: expected %s or %s", isolation, ProcessIsolated, HyperVIsolated)
	}
	for _, c := range n.Containers {
		if c.ID == container {
			return hcn.Errorf(hcn.ErrAlreadyExists, "container %q is in namespace %s already", container, n.Doc.ID)
		}
	}
	if n.Type == hcn.HostDefaultNamespace {
		if err := t.hostNetworking(container); err != nil {
			return err
		}
	}
	if err := t.startable(n); err != nil {
		return err
	}
	ns := t.editNamespace(n)
	ns.Containers = append(ns.Containers, Container{container, isolation})
	if ns.Compartment == 0 {
		ns.Compartment, ns.CompartmentGUID = t.newCompartment(), t.next.counters.guid()
	}
	t.settleAll(ns)
	return nil
}

// startable refuses the first container of a namespace whose endpoints cannot be
// attached: there is no compartment without their interfaces (rule CMP-07). The
// runtime learns no more than this code, whatever the cause is (B-50).
func (t *tx) startable(n *Namespace) error {
	if len(n.Containers) > 0 {
		return nil // attached already
	}
	for _, id := range n.Endpoints {
		e := t.next.EndpointByID(id)
		if t.next.NetworkByNum(e.Network).Degraded || e.State == hcn.EndpointDetached && t.knobs().ContainerRestart == "fail" {
			return hcn.Errorf(hcn.ErrNamespaceAttachFailed, "namespace %s", n.Doc.ID)
		}
	}
	return nil
}

// hostNetworking refuses a container that would share the host's compartment:
// Windows containers have no host networking mode (rule CMP-11).
func (t *tx) hostNetworking(container string) error {
	if t.knobs().HostNetworking == "accept" {
		return nil
	}
	return hcn.Errorf(hcn.ErrRequestUnsupported, "container %q would share the compartment of the host: expected a namespace of type %s, or the knob hostNetworking",
		container, hcn.HostNamespace)
}

func (t *tx) stopContainer(n *Namespace, container string) error {
	at := slices.IndexFunc(n.Containers, func(c Container) bool { return c.ID == container })
	if at < 0 {
		return hcn.ErrorAt(hcn.ErrElementNotFound, "Settings.ContainerId", fmt.Sprintf("%q", container), "the id of a container of the namespace")
	}
	ns := t.editNamespace(n)
	ns.Containers = slices.Delete(ns.Containers, at, at+1)
	if len(ns.Containers) == 0 && ns.Type != hcn.HostDefaultNamespace {
		ns.Compartment, ns.CompartmentGUID = 0, ""
	}
	t.settleAll(ns)
	return nil
}

func (t *tx) settleAll(n *Namespace) {
	for _, id := range n.Endpoints {
		t.settle(t.editEndpoint(t.next.EndpointByID(id)), n)
	}
}

func (t *tx) newCompartment() uint32 {
	t.next.counters.compartment++
	return t.next.counters.compartment
}

// unplug takes an endpoint off what it is attached to.
func (t *tx) unplug(e *Endpoint) {
	if e.AttachedTo != NotAttached || e.State == hcn.EndpointAttached {
		e.State = hcn.EndpointDetached
	}
	e.AttachedTo, e.Compartment, e.Containers, e.Isolation = NotAttached, 0, nil, ""
	e.Doc.State = uint16(e.State)
}

// attachable returns a copy of an endpoint that can be attached, or why it
// cannot (D.3 #31, #33).
func (t *tx) attachable(e *Endpoint) (*Endpoint, error) {
	if e.Remote {
		return nil, hcn.Errorf(hcn.ErrInvalidRemoteEndpointOp, "endpoint %q is remote", e.label())
	}
	if n := t.next.NetworkByNum(e.Network); n.Degraded {
		return nil, degraded(n)
	}
	if e.AttachedTo != NotAttached {
		return nil, hcn.Errorf(hcn.ErrEndpointAlreadyAttached, "endpoint %q", e.label())
	}
	return t.editEndpoint(e), nil
}

// AttachRequest is the body of a v1 attach or detach request (section A.5).
type AttachRequest struct {
	ContainerID    string
	SystemType     SystemType
	CompartmentID  uint32
	VirtualNicName string
	Isolation      Isolation
}

// AttachEndpoint is the v1 attach: to a container (several may share the
// endpoint), to a compartment of the host, or to a virtual machine.
func (s *Service) AttachEndpoint(id string, r AttachRequest) error {
	return s.change(func(t *tx) error {
		e := t.next.EndpointByID(id)
		if e == nil {
			return endpointNotFound(id)
		}
		switch r.SystemType {
		case ToContainer:
			return t.attachContainer(e, r)
		case ToHost, ToVirtualMachine:
		default:
			return hcn.ErrorAt(hcn.ErrInvalidParameter, "SystemType", fmt.Sprintf("%q", r.SystemType), "Container, VirtualMachine or Host")
		}
		c, err := t.attachable(e)
		if err != nil {
			return err
		}
		if r.SystemType == ToVirtualMachine {
			t.attachVM(c)
			return nil
		}
		c.Compartment = r.CompartmentID
		if c.Compartment == 0 {
			c.Compartment = hostCompartmentID
		}
		t.plug(c, ToHost, ProcessIsolated)
		return nil
	})
}

func (t *tx) plug(e *Endpoint, to SystemType, isolation Isolation) {
	e.State, e.AttachedTo, e.Isolation = hcn.EndpointAttached, to, isolation
	e.Doc.State = uint16(e.State)
	t.note(NetworkEndpointAttached, e.Doc.ID)
}

// attachVM gives the guest a compartment number of its own: its stack is not
// the host's.
func (t *tx) attachVM(e *Endpoint) {
	e.Compartment = t.newCompartment()
	t.plug(e, ToVirtualMachine, HyperVIsolated)
}

func (t *tx) attachContainer(e *Endpoint, r AttachRequest) error {
	if r.ContainerID == "" {
		return hcn.ErrorAt(hcn.ErrInvalidParameter, "ContainerId", "nothing", "the id of a container")
	}
	if e.AttachedTo == ToContainer && e.Namespace == "" && !slices.Contains(e.Containers, r.ContainerID) {
		c := t.editEndpoint(e)
		c.Containers = append(c.Containers, r.ContainerID)
		c.State = hcn.EndpointAttachedSharing
		c.Doc.State = uint16(c.State)
		return nil
	}
	c, err := t.attachable(e)
	if err != nil {
		return err
	}
	if r.CompartmentID == hostCompartmentID {
		if err := t.hostNetworking(r.ContainerID); err != nil {
			return err
		}
	}
	isolation := r.Isolation
	if isolation == "" {
		isolation = ProcessIsolated
	}
	c.Containers = []string{r.ContainerID}
	c.Compartment = t.compartmentOf(r)
	t.plug(c, ToContainer, isolation)
	return nil
}

// compartmentOf finds the compartment of a container that has other endpoints
// attached already; the request may name one, else it is a new one.
func (t *tx) compartmentOf(r AttachRequest) uint32 {
	if r.CompartmentID != 0 {
		return r.CompartmentID
	}
	for _, e := range t.next.Endpoints {
		if e.AttachedTo == ToContainer && e.Namespace == "" && slices.Contains(e.Containers, r.ContainerID) {
			return e.Compartment
		}
	}
	return t.newCompartment()
}

// DetachEndpoint is the v1 detach. Detaching what is not attached succeeds
// unless the knob says otherwise (D.3 #34).
func (s *Service) DetachEndpoint(id string, r AttachRequest) error {
	return s.change(func(t *tx) error {
		e := t.next.EndpointByID(id)
		if e == nil {
			return endpointNotFound(id)
		}
		return t.detach(e, r.ContainerID, r.SystemType)
	})
}

// detach takes an endpoint off a container, or off whatever it is attached to
// when container is "".
func (t *tx) detach(e *Endpoint, container string, from SystemType) error {
	attached := e.AttachedTo != NotAttached && e.Namespace == "" && (from == NotAttached || from == e.AttachedTo)
	if attached && container != "" && e.AttachedTo == ToContainer {
		attached = slices.Contains(e.Containers, container)
	}
	if !attached {
		if t.knobs().DetachUnattached == "error" {
			return hcn.Errorf(hcn.ErrEndpointNotAttached, "endpoint %q", e.label())
		}
		return nil
	}
	c := t.editEndpoint(e)
	if container != "" && len(c.Containers) > 1 {
		c.Containers = slices.DeleteFunc(c.Containers, func(id string) bool { return id == container })
		if len(c.Containers) == 1 {
			c.State = hcn.EndpointAttached
			c.Doc.State = uint16(c.State)
		}
		return nil
	}
	t.unplug(c)
	t.note(NetworkEndpointDetached, c.Doc.ID)
	return nil
}
