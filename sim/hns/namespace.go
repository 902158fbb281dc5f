package hns

import (
	"fmt"
	"slices"

	"github.com/hnsim/hnsim/sim/hcn"
)

// hostCompartmentID is the host's own network compartment (rule CMP-01).
const hostCompartmentID = 1

// addHostNamespace makes the namespace of the host's own compartment, which
// always exists (F.4).
func (t *tx) addHostNamespace() {
	c := &t.next.counters
	id := t.knobs().HostNamespaceID
	if id == "random" {
		id = c.guid()
	}
	c.namespace++
	t.next.Namespaces = append(t.next.Namespaces, &Namespace{Num: c.namespace, Type: hcn.HostDefaultNamespace,
		Doc: &hcn.Namespace{ID: id, Type: hcn.HostDefaultNamespace, NamespaceID: hostCompartmentID,
			Base: hcn.Base{Version: t.profile().Version.Object(), State: 1}},
		Compartment: hostCompartmentID, CompartmentGUID: c.guid(), builtIn: true, activity: c.guid(), createdAt: t.s.cfg.Now()})
}

// CreateNamespace creates a namespace from a document in either shape. The
// compartment comes into being with the first container (rule CMP-07).
func (s *Service) CreateNamespace(id string, settings []byte) (string, error) {
	err := s.change(func(t *tx) error {
		doc, err := hcn.DecodeNamespace(settings)
		if err != nil {
			return err
		}
		if err := hcn.ValidateNamespace(doc, t.profile()); err != nil {
			return hcn.InShape(err, hcn.V2, settings)
		}
		if doc.ID, err = t.chooseID(id, doc.ID, func(id string) bool { return t.next.NamespaceByID(id) != nil }); err != nil {
			return err
		}
		id = doc.ID
		return t.createNamespace(doc)
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

func (t *tx) createNamespace(doc *hcn.Namespace) error {
	c := &t.next.counters
	c.namespace++
	n := &Namespace{Num: c.namespace, Doc: doc, Type: doc.Type, activity: c.guid(), createdAt: t.s.cfg.Now()}
	if n.Type == "" {
		n.Type, doc.Type = hcn.HostNamespace, hcn.HostNamespace
	}
	if n.Type == hcn.HostDefaultNamespace {
		n.Compartment = hostCompartmentID
	}
	doc.State, doc.Version = 1, t.profile().Version.Object()
	resources := doc.Resources
	doc.Resources = nil
	t.next.Namespaces = append(t.next.Namespaces, n)
	t.next.hints.put(doc.ID, n.Num)
	t.dirty = true
	t.note(NamespaceCreate, doc.ID)
	for i, r := range resources {
		path := fmt.Sprintf("Resources[%d].Data.Id", i)
		var err error
		if r.Type == hcn.EndpointResource {
			err = t.join(t.next.NamespaceByID(doc.ID), r.Data.ID, path)
		} else {
			err = t.startContainer(t.next.NamespaceByID(doc.ID), r.Data.ID, ProcessIsolated)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func namespaceNotFound(id string) error {
	return hcn.Errorf(hcn.ErrElementNotFound, "no namespace has the id %q", id)
}

// ModifyNamespace carries out a modify request: an endpoint or a container
// joins (Add) or leaves (Remove).
func (s *Service) ModifyNamespace(id string, request []byte) error {
	return s.change(func(t *tx) error {
		n := t.next.NamespaceByID(id)
		if n == nil {
			return namespaceNotFound(id)
		}
		m, err := hcn.ParseModifyRequest(request)
		if err != nil {
			return err
		}
		resource, err := m.Resource("namespace")
		if err != nil {
			return err
		}
		if resource == "Endpoint" {
			return t.modifyNamespaceEndpoint(n, m)
		}
		return t.modifyNamespaceContainer(n, m)
	})
}

func (t *tx) modifyNamespaceEndpoint(n *Namespace, m *hcn.ModifyRequest) error {
	switch m.RequestType {
	case hcn.RequestAdd, hcn.RequestRemove:
	case hcn.RequestRefresh:
		t.dirty = true
		return nil
	default:
		return unsupported(m, "Endpoint")
	}
	r, err := hcn.DecodeRequestSettings[hcn.NamespaceEndpointRequest](m)
	if err != nil {
		return err
	}
	if m.RequestType == hcn.RequestAdd {
		return t.join(n, r.EndpointID, "Settings.EndpointId")
	}
	return t.leave(n, r.EndpointID, "Settings.EndpointId")
}

func (t *tx) modifyNamespaceContainer(n *Namespace, m *hcn.ModifyRequest) error {
	if m.RequestType != hcn.RequestAdd && m.RequestType != hcn.RequestRemove {
		return unsupported(m, "Container")
	}
	r, err := hcn.DecodeRequestSettings[hcn.NamespaceContainerRequest](m)
	if err != nil {
		return err
	}
	if m.RequestType == hcn.RequestAdd {
		return t.startContainer(n, r.ContainerID, ProcessIsolated)
	}
	return t.stopContainer(n, r.ContainerID)
}

// joinByID lets an endpoint that is being created join a namespace.
func (t *tx) joinByID(namespace string, e *Endpoint) error {
	n := t.next.NamespaceByID(namespace)
	if n == nil {
		return hcn.ErrorAt(hcn.ErrElementNotFound, "HostComputeNamespace", fmt.Sprintf("%q", namespace), "the id of a namespace")
	}
	return t.join(n, e.Doc.ID, "HostComputeNamespace")
}

// join adds an endpoint to a namespace (D.3 #31 to #33). The endpoint stays in
// state 1 until a container starts there, unless the compartment exists.
func (t *tx) join(n *Namespace, endpoint, path string) error {
	e := t.next.EndpointByID(endpoint)
	if e == nil {
		return hcn.ErrorAt(hcn.ErrEndpointNotFound, path, fmt.Sprintf("%q", endpoint), "the id of an endpoint")
	}
	switch {
	case e.Remote:
		return hcn.ErrorAt(hcn.ErrInvalidRemoteEndpointOp, path, fmt.Sprintf("the remote endpoint %q", e.label()), "a local endpoint")
	case e.Namespace != "" && hcn.SameID(e.Namespace, n.Doc.ID):
		if t.knobs().NamespaceRejoin == "accept" {
			return nil
		}
		return hcn.ErrorAt(hcn.ErrEndpointAlreadyAttached, path, fmt.Sprintf("endpoint %q, which is in this namespace", e.label()), "an endpoint that is in none")
	case e.Namespace != "":
		return hcn.ErrorAt(hcn.ErrEndpointNamespaceExists, path, fmt.Sprintf("endpoint %q, which is in namespace %s", e.label(), e.Namespace), "an endpoint that is in none")
	case e.AttachedTo != NotAttached:
		return hcn.ErrorAt(hcn.ErrEndpointAlreadyAttached, path, fmt.Sprintf("endpoint %q, which is attached", e.label()), "an endpoint that is not attached")
	}
	if net := t.next.NetworkByNum(e.Network); net.Degraded {
		return degraded(net)
	}
	ns := t.editNamespace(n)
	ns.Endpoints = append(ns.Endpoints, e.Doc.ID)
	c := t.editEndpoint(e)
	c.Namespace = ns.Doc.ID
	t.settle(c, ns)
	return nil
}

// leave takes an endpoint out of a namespace.
func (t *tx) leave(n *Namespace, endpoint, path string) error {
	e := t.next.EndpointByID(endpoint)
	if e == nil || !hcn.SameID(e.Namespace, n.Doc.ID) || e.Namespace == "" {
		if t.knobs().NamespaceLeave == "success" {
			return nil
		}
		return hcn.ErrorAt(hcn.ErrElementNotFound, path, fmt.Sprintf("%q", endpoint), "the id of an endpoint of the namespace")
	}
	ns := t.editNamespace(n)
	ns.Endpoints = slices.DeleteFunc(ns.Endpoints, func(id string) bool { return hcn.SameID(id, e.Doc.ID) })
	t.release(t.editEndpoint(e))
	return nil
}

// release ends an endpoint's membership in a namespace.
func (t *tx) release(e *Endpoint) {
	wasAttached := e.AttachedTo != NotAttached
	e.Namespace = ""
	t.unplug(e)
	if wasAttached {
		t.note(NetworkEndpointDetached, e.Doc.ID)
	}
}

// settle gives an endpoint of a namespace the state that the namespace's
// containers imply (rule CMP-08).
func (t *tx) settle(e *Endpoint, n *Namespace) {
	before := e.AttachedTo
	e.Containers = nil
	for _, c := range n.Containers {
		e.Containers = append(e.Containers, c.ID)
		e.Isolation = c.Isolation
	}
	e.Compartment = n.Compartment
	running := len(n.Containers)
	switch {
	case running > 1:
		e.State, e.AttachedTo = hcn.EndpointAttachedSharing, ToContainer
	case running == 1:
		e.State, e.AttachedTo = hcn.EndpointAttached, ToContainer
	case n.Type == hcn.HostDefaultNamespace: // its compartment is there already
		e.State, e.AttachedTo, e.Isolation = hcn.EndpointAttached, ToHost, ProcessIsolated
	case before != NotAttached: // the last container stopped
		t.unplug(e)
	case t.knobs().NamespaceJoin == "attached":
		e.State = hcn.EndpointAttached
	}
	if t.next.NetworkByNum(e.Network).Degraded {
		e.State = hcn.EndpointDegraded
	}
	e.Doc.State = uint16(e.State)
	if before == NotAttached && e.AttachedTo != NotAttached {
		t.note(NetworkEndpointAttached, e.Doc.ID)
	}
	if before != NotAttached && e.AttachedTo == NotAttached {
		t.note(NetworkEndpointDetached, e.Doc.ID)
	}
}

// DeleteNamespace deletes a namespace. Containers in it prevent that (D.3
// #36); endpoints leave it (#37).
func (s *Service) DeleteNamespace(id string) error {
	return s.change(func(t *tx) error {
		n := t.next.NamespaceByID(id)
		if n == nil {
			return t.deletedUnknown(namespaceNotFound(id))
		}
		if n.builtIn {
			return hcn.Errorf(hcn.ErrRequestUnsupported, "namespace %s is the host's own", n.Doc.ID)
		}
		if len(n.Containers) > 0 {
			return hcn.Errorf(hcn.ErrRequestUnsupported, "namespace %s still holds container %q", n.Doc.ID, n.Containers[0].ID)
		}
		for _, id := range n.Endpoints {
			t.release(t.editEndpoint(t.next.EndpointByID(id)))
		}
		t.next.Namespaces = remove(t.next.Namespaces, n)
		t.dirty = true
		t.note(NamespaceDelete, n.Doc.ID)
		return nil
	})
}

// deletedUnknown is the answer for deleting what does not exist.
func (t *tx) deletedUnknown(err error) error {
	if t.knobs().DeleteUnknown == "success" {
		return nil
	}
	return err
}
