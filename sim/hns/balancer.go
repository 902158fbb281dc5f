package hns

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/hcn"
)

func (s *State) balancerByID(id string) *LoadBalancer {
	for _, l := range s.LoadBalancers {
		if hcn.SameID(l.Doc.ID, id) {
			return l
		}
	}
	return nil
}

func (s *State) routeByID(id string) *Route {
	for _, r := range s.Routes {
		if hcn.SameID(r.Doc.ID, id) {
			return r
		}
	}
	return nil
}

func (t *tx) editBalancer(l *LoadBalancer) *LoadBalancer {
	c := *l
	doc := *l.Doc
	c.Doc = &doc
	replace(t.next.LoadBalancers, l, &c)
	t.dirty = true
	return &c
}

func (t *tx) editRoute(r *Route) *Route {
	c := *r
	doc := *r.Doc
	c.Doc = &doc
	replace(t.next.Routes, r, &c)
	t.dirty = true
	return &c
}

// CreateLoadBalancer creates a load balancer from a v2 document.
func (s *Service) CreateLoadBalancer(id string, settings []byte) (string, error) {
	doc, err := hcn.DecodeLoadBalancer(settings)
	if err != nil {
		return "", hcn.AsError(err)
	}
	return s.createBalancer(id, doc, settings)
}

func (s *Service) createBalancer(id string, doc *hcn.LoadBalancer, settings []byte) (string, error) {
	err := s.change(func(t *tx) error {
		l := &LoadBalancer{Doc: doc, activity: t.next.counters.guid(), createdAt: t.s.cfg.Now()}
		if err := hcn.ValidateLoadBalancer(doc, t.profile()); err != nil {
			return hcn.InShape(err, hcn.V2, settings)
		}
		var err error
		if doc.ID, err = t.chooseID(id, doc.ID, t.balancerIDTaken); err != nil {
			return err
		}
		id = doc.ID
		t.next.counters.balancer++
		l.Num = t.next.counters.balancer
		doc.Version, doc.State = t.profile().Version.Object(), 2 // F.5
		t.next.LoadBalancers = append(t.next.LoadBalancers, l)
		t.dirty = true
		return hcn.InShape(t.resolveBalancer(l), hcn.V2, settings)
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

// balancerIDTaken looks at both kinds that the v1 shape calls policy lists.
func (t *tx) balancerIDTaken(id string) bool {
	return t.next.balancerByID(id) != nil || t.next.routeByID(id) != nil
}

// resolveBalancer checks a load balancer against the store (D.3 #40, #41) and
// fills in what follows from it.
func (t *tx) resolveBalancer(l *LoadBalancer) error {
	var err error
	l.Endpoints, l.Network, err = t.resolveEndpoints(l.Doc.HostComputeNetwork, l.Doc.HostComputeEndpoints)
	if err != nil {
		return err
	}
	if err := t.checkPorts(l); err != nil {
		return err
	}
	l.Doc.HostComputeEndpoints = t.canonicalIDs(l.Endpoints)
	l.Doc.HostComputeNetwork = t.next.NetworkByNum(l.Network).Doc.ID
	p := t.profile()
	l.DSR = l.Doc.Flags&hcn.EnableDSR != 0 && p.Supports(hcn.FeatureDSR)
	l.Affinity = make([]hcn.DistributionType, len(l.Doc.PortMappings))
	if p.Supports(hcn.FeatureSessionAffinity) {
		for i, m := range l.Doc.PortMappings {
			l.Affinity[i] = m.DistributionType
		}
	}
	return t.checkFrontends(l)
}

// checkPorts refuses backends that have no switch port yet, where the build
// does (C.4, knob lbUnattached).
func (t *tx) checkPorts(l *LoadBalancer) error {
	if t.knobs().LBUnattached == "accept" {
		return nil
	}
	for i, num := range l.Endpoints {
		if e := t.next.EndpointByNum(num); !e.Remote && e.AttachedTo == NotAttached {
			return hcn.ErrorAt(hcn.ErrPortNotFound, fmt.Sprintf("HostComputeEndpoints[%d]", i), fmt.Sprintf("endpoint %q, which is not attached", e.label()), "an endpoint with a switch port")
		}
	}
	return nil
}

// resolveEndpoints finds the endpoints of a load balancer or a route object;
// all are on one network.
func (t *tx) resolveEndpoints(network string, ids []string) ([]uint32, uint32, error) {
	var nums []uint32
	var net uint32
	if network != "" && !hcn.SameID(network, hcn.ZeroGUID) {
		n := t.next.NetworkByID(network)
		if n == nil {
			return nil, 0, hcn.ErrorAt(hcn.ErrNetworkNotFound, "HostComputeNetwork", fmt.Sprintf("%q", network), "the id of a network")
		}
		net = n.Num
	}
	for i, id := range ids {
		path := fmt.Sprintf("HostComputeEndpoints[%d]", i)
		e := t.next.EndpointByID(id)
		if e == nil {
			return nil, 0, hcn.ErrorAt(hcn.ErrEndpointNotFound, path, fmt.Sprintf("%q", id), "the id of an endpoint")
		}
		if net != 0 && e.Network != net {
			return nil, 0, hcn.ErrorAt(hcn.ErrInvalidEndpoint, path, fmt.Sprintf("endpoint %q of another network", e.label()), "endpoints of one network")
		}
		if n := t.next.NetworkByNum(e.Network); n.Degraded {
			return nil, 0, degraded(n)
		}
		net = e.Network
		nums = append(nums, e.Num)
	}
	return nums, net, nil
}

// canonicalIDs are the ids of endpoints in the spelling of the objects
// themselves (rule B6a).
func (t *tx) canonicalIDs(nums []uint32) []string {
	var out []string
	for _, num := range nums {
		out = append(out, t.next.EndpointByNum(num).Doc.ID)
	}
	return out
}

// frontend is what no two load balancers may share (rule LB-18). vip is
// invalid for the host's own addresses (NodePort).
type frontend struct {
	vip   netip.Addr
	proto hcn.ProtocolNumber
	port  uint16
}

func frontends(doc *hcn.LoadBalancer) []frontend {
	vips := []netip.Addr{{}}
	if len(doc.FrontendVIPs) > 0 {
		vips = vips[:0]
		for _, v := range doc.FrontendVIPs {
			a, _ := netip.ParseAddr(v)
			vips = append(vips, a)
		}
	}
	var out []frontend
	for _, v := range vips {
		for _, m := range doc.PortMappings {
			out = append(out, frontend{v, m.Protocol, m.ExternalPort})
		}
	}
	return out
}

func (t *tx) checkFrontends(l *LoadBalancer) error {
	mine := frontends(l.Doc)
	for _, other := range t.next.LoadBalancers {
		if other == l {
			continue
		}
		for _, f := range frontends(other.Doc) {
			if !slices.Contains(mine, f) {
				continue
			}
			code := t.knobs().LBDuplicate
			if other.restored {
				code = hcn.ErrAlreadyExists // G.5: duplicates of restored objects
			}
			return hcn.ErrorAt(code, "PortMappings", fmt.Sprintf("%s port %d", f.proto, f.port),
				"a frontend that load balancer "+other.Doc.ID+" does not have")
		}
	}
	if len(l.Doc.FrontendVIPs) > 0 {
		return t.checkListeners(l)
	}
	return t.checkNodePorts(l)
}

// checkListeners refuses ports of virtual addresses that the host listens on,
// where the build does so (rule LB-19, bug B-16).
func (t *tx) checkListeners(l *LoadBalancer) error {
	if !t.knobs().LBListenerClash || t.s.cfg.Ports == nil || t.s.cur.balancerByID(l.Doc.ID) != nil {
		return nil
	}
	for i, m := range l.Doc.PortMappings {
		if t.s.cfg.Ports.Busy(uint8(m.Protocol), m.ExternalPort) {
			return hcn.ErrorAt(hcn.ErrPortAlreadyExists, fmt.Sprintf("PortMappings[%d].ExternalPort", i), fmt.Sprint(m.ExternalPort),
				"a port that nothing on the host listens on")
		}
	}
	return nil
}

// checkNodePorts refuses ports that the host or an endpoint holds (C.4).
func (t *tx) checkNodePorts(l *LoadBalancer) error {
	taken := t.takenPorts(nil, l)
	old := t.s.cur.balancerByID(l.Doc.ID)
	for i, m := range l.Doc.PortMappings {
		path := fmt.Sprintf("PortMappings[%d].ExternalPort", i)
		if owner := clash(taken, published{proto: m.Protocol, port: m.ExternalPort}); owner != "" {
			return hcn.ErrorAt(hcn.ErrPortAlreadyExists, path, fmt.Sprint(m.ExternalPort), "a port that "+owner+" does not hold")
		}
		held := old != nil && slices.Contains(frontends(old.Doc), frontend{proto: m.Protocol, port: m.ExternalPort})
		if !held && t.s.cfg.Ports != nil && t.s.cfg.Ports.Busy(uint8(m.Protocol), m.ExternalPort) {
			return hcn.ErrorAt(hcn.ErrPortAlreadyExists, path, fmt.Sprint(m.ExternalPort), "a port that nothing on the host holds or excludes")
		}
	}
	return nil
}

// ModifyLoadBalancer replaces a load balancer by the document in the request,
// which is the whole object or a modify request with it in Settings. Services
// before 15.4 do not have the call; 15.4 takes it and changes nothing (B.9).
func (s *Service) ModifyLoadBalancer(id string, request []byte) error {
	return s.change(func(t *tx) error {
		l := t.next.balancerByID(id)
		if l == nil {
			return elementNotFound("load balancer", id)
		}
		p := t.profile()
		if !p.Supports(hcn.FeatureModifyLoadBalancer) {
			f, _ := hcn.FindFeature(hcn.FeatureModifyLoadBalancer)
			return hcn.Errorf(hcn.ErrNotImplemented, "needs HNS %s, this is %s", f.RangeText(), p.Version)
		}
		body, path, err := wholeObject(request)
		if err != nil || body == nil {
			t.dirty = true // a refresh re-applies what there is
			return err
		}
		doc, err := hcn.DecodeLoadBalancer(body)
		if err == nil {
			err = hcn.ValidateLoadBalancer(doc, p)
		}
		if err != nil && path != "" {
			return prefixed(path, err)
		} else if err != nil {
			return hcn.InShape(err, hcn.V2, body)
		}
		if p.Version == (hcn.HNSVersion{Major: 15, Minor: 4}) {
			return nil
		}
		doc.ID, doc.Version, doc.State = l.Doc.ID, l.Doc.Version, l.Doc.State
		c := t.editBalancer(l)
		c.Doc = doc
		if err := t.resolveBalancer(c); err != nil {
			return err
		}
		t.drain(c, l)
		return nil
	})
}

// drain says what becomes of the flows of a load balancer that was changed
// from old in place (rules LB-06 to LB-08).
func (t *tx) drain(l, old *LoadBalancer) {
	l.Draining = nil
	switch k := t.knobs(); {
	case k.LBUpdate == "recreate":
		l.Revision++
	case k.LBTerminating == "drain":
		for _, num := range slices.Concat(old.Draining, old.Endpoints) {
			if !slices.Contains(l.Endpoints, num) && !slices.Contains(l.Draining, num) && t.next.EndpointByNum(num) != nil {
				l.Draining = append(l.Draining, num)
			}
		}
	}
}

// wholeObject takes the document out of a request that changes a load balancer
// or a route: it is the request itself, or the Settings of a modify request
// with the type Update (PS2). path is where the document stands. A refresh has
// none.
func wholeObject(request []byte) (body []byte, path string, err error) {
	if hcn.DocumentKind(request) != "modify" {
		return request, "", nil
	}
	m, err := hcn.ParseModifyRequest(request)
	if err != nil {
		return nil, "", err
	}
	switch m.RequestType {
	case hcn.RequestUpdate:
		return m.Settings, "Settings", nil
	case hcn.RequestRefresh:
		return nil, "", nil
	}
	return nil, "", hcn.ErrorAt(hcn.ErrRequestUnsupported, "RequestType", string(m.RequestType), "Update, with the whole object in Settings")
}

// CreateRoute creates an SDN route object from a v2 document.
func (s *Service) CreateRoute(id string, settings []byte) (string, error) {
	doc, err := hcn.DecodeSDNRoute(settings)
	if err != nil {
		return "", hcn.AsError(err)
	}
	return s.createRoute(id, doc, settings, hcn.V2)
}

// createRoute takes the document in either shape; shape decides what the build
// refuses.
func (s *Service) createRoute(id string, doc *hcn.SDNRoute, settings []byte, shape hcn.Shape) (string, error) {
	err := s.change(func(t *tx) error {
		if err := hcn.ValidateSDNRoute(doc, t.profile()); err != nil {
			return hcn.InShape(err, hcn.V2, settings)
		}
		var err error
		if doc.ID, err = t.chooseID(id, doc.ID, t.balancerIDTaken); err != nil {
			return err
		}
		id = doc.ID
		t.next.counters.route++
		doc.Version, doc.State = t.profile().Version.Object(), 2
		r := &Route{Num: t.next.counters.route, Doc: doc, activity: t.next.counters.guid(), createdAt: t.s.cfg.Now()}
		t.next.Routes = append(t.next.Routes, r)
		t.dirty = true
		if err := t.resolveRoute(r); err != nil {
			return err
		}
		if shape == hcn.V1 && t.knobs().V1RouteL2Bridge == "refuse" && t.next.NetworkByNum(r.Network).Type == hcn.L2Bridge {
			return hcn.ErrorAt(hcn.ErrInvalidPolicyType, "Policies[0].Type", "ROUTE on an L2Bridge network", "a build that takes it (knob v1RouteL2bridge)")
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

func (t *tx) resolveRoute(r *Route) error {
	var err error
	r.Endpoints, r.Network, err = t.resolveEndpoints(r.Doc.HostComputeNetwork, r.Doc.HostComputeEndpoints)
	if err != nil {
		return err
	}
	r.Doc.HostComputeEndpoints = t.canonicalIDs(r.Endpoints)
	r.Doc.HostComputeNetwork = t.next.NetworkByNum(r.Network).Doc.ID
	return nil
}

// ModifyRoute replaces a route object by the document in the request, whole or
// in the Settings of a modify request.
func (s *Service) ModifyRoute(id string, request []byte) error {
	return s.change(func(t *tx) error {
		r := t.next.routeByID(id)
		if r == nil {
			return elementNotFound("route", id)
		}
		body, path, err := wholeObject(request)
		if err != nil || body == nil {
			t.dirty = true
			return err
		}
		doc, err := hcn.DecodeSDNRoute(body)
		if err == nil {
			err = hcn.ValidateSDNRoute(doc, t.profile())
		}
		if err != nil && path != "" {
			return prefixed(path, err)
		} else if err != nil {
			return hcn.InShape(err, hcn.V2, body)
		}
		doc.ID, doc.Version, doc.State = r.Doc.ID, r.Doc.Version, r.Doc.State
		c := t.editRoute(r)
		c.Doc = doc
		return t.resolveRoute(c)
	})
}
