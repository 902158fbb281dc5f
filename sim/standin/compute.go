package standin

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/hns"
)

// computeSystem is a running container, as far as v1 attach asks for it.
type computeSystem struct{ id string }

// noComputeSystem is the answer for a container that does not exist; docker's
// driver carries on with exactly this code.
const noComputeSystem hcn.Code = 0xC037010E

// AddContainer makes a container known to the Hcs functions.
func (s *Server) AddContainer(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.compute[strings.ToLower(id)] = &computeSystem{id}
}

// RemoveContainer makes the Hcs functions forget a container.
func (s *Server) RemoveContainer(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.compute, strings.ToLower(id))
}

// hcsError is the result document of a failed Hcs function. Its code is a
// signed number, which clients insist on.
func hcsError(err error) string {
	e := hcn.AsError(err)
	raw, _ := json.Marshal(struct {
		Error        int32
		ErrorMessage string
	}{int32(e.Code), e.DetailText()})
	return string(raw)
}

func (s *Server) describe(cs *computeSystem) map[string]string {
	return map[string]string{"Id": cs.id, "SystemType": "Container", "RuntimeOsType": "Windows", "State": "Running", "Owner": "hnsim"}
}

func (c *call) enumerateComputeSystems() error {
	list := []map[string]string{}
	for _, cs := range c.srv.compute {
		list = append(list, c.srv.describe(cs))
	}
	slices.SortFunc(list, func(a, b map[string]string) int { return strings.Compare(a["Id"], b["Id"]) })
	raw, err := json.Marshal(list)
	c.result(raw)
	return err
}

func (c *call) openComputeSystem() error {
	id := strings.ToLower(c.text(0))
	if c.srv.compute[id] == nil {
		return hcn.Errorf(noComputeSystem, "A Compute System with the specified identifier does not exist: %q", c.text(0))
	}
	return c.answerHandle(&handle{kind: computeSystemHandle, id: id})
}

// system finds the container of the call's handle.
func (c *call) system() (*computeSystem, error) {
	h, err := c.ses.get(c.req.Handle, computeSystemHandle)
	if err != nil {
		return nil, err
	}
	cs := c.srv.compute[h.id]
	if cs == nil {
		return nil, hcn.Errorf(noComputeSystem, "the compute system %q has ended", h.id)
	}
	return cs, nil
}

// registerComputeCallback makes a handle and no more: containers here never
// exit, so that a callback has nothing to hear.
func (c *call) registerComputeCallback() error {
	cs, err := c.system()
	if err != nil {
		return err
	}
	return c.answerHandle(&handle{kind: computeCallbackHandle, id: strings.ToLower(cs.id)})
}

func (c *call) computeSystemProperties() error {
	cs, err := c.system()
	if err != nil {
		return err
	}
	raw, err := json.Marshal(c.srv.describe(cs))
	c.result(raw)
	return err
}

// modifyComputeSystem plugs an endpoint into a container, or unplugs it: the
// only request that network drivers make here.
func (c *call) modifyComputeSystem() error {
	cs, err := c.system()
	if err != nil {
		return err
	}
	var m struct {
		ResourceType, RequestType string
		Settings                  json.RawMessage
	}
	if err := json.Unmarshal([]byte(c.text(0)), &m); err != nil {
		return hcn.Errorf(hcn.ErrInvalidJSON, "%v", err)
	}
	var endpoint string
	if m.ResourceType != "Network" || json.Unmarshal(m.Settings, &endpoint) != nil {
		return hcn.Errorf(hcn.ErrNotImplemented, "a request for %q: only Network with an endpoint's id is modelled", m.ResourceType)
	}
	req := hns.AttachRequest{ContainerID: cs.id, SystemType: hns.ToContainer}
	switch m.RequestType {
	case "Add":
		return c.host.HNS.AttachEndpoint(endpoint, req)
	case "Remove":
		return c.host.HNS.DetachEndpoint(endpoint, req)
	}
	return hcn.ErrorAt(hcn.ErrInvalidParameter, "RequestType", fmt.Sprintf("%q", m.RequestType), "Add or Remove")
}
