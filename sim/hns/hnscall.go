package hns

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hnsim/hnsim/sim/hcn"
)

// HNSCall is the v1 entry point: it returns the response envelope (A.6) and
// the HRESULT. Failures are S_OK with Success false, or a negative HRESULT
// with the same text, as the knob v1ErrorForm says (rule A23).
func (s *Service) HNSCall(method, path string, body []byte) ([]byte, hcn.Code) {
	out, err := s.HNSRequest(method, path, body)
	if err != nil {
		e := hcn.AsError(err)
		if s.cfg.Profile.Knobs.V1ErrorForm == "hresult" {
			return e.ErrorRecord(), e.Code
		}
		return e.ErrorRecord(), 0
	}
	return Envelope(out), 0
}

// Envelope puts the Output of a request that succeeded into the response; nil
// is none.
func Envelope(out []byte) []byte {
	if out == nil {
		return []byte(`{"Success":true}`)
	}
	return append(append([]byte(`{"Success":true,"Output":`), out...), '}')
}

// HNSRequest carries out a v1 request and returns its Output, nil when there
// is none. The error is an *hcn.Error.
func (s *Service) HNSRequest(method, path string, body []byte) ([]byte, error) {
	var parts []string
	for _, p := range strings.Split(path, "/") {
		if p != "" {
			parts = append(parts, p)
		}
	}
	method = strings.ToUpper(method)
	if len(parts) == 0 {
		return nil, noSuchPath(method, path)
	}
	r := v1Request{s: s, method: method, path: path, id: "", verb: "", body: body}
	if len(parts) > 1 {
		r.id = parts[1]
	}
	if len(parts) > 2 {
		r.verb = strings.ToLower(parts[2])
	}
	if len(parts) > 3 {
		return nil, noSuchPath(method, path)
	}
	out, err := r.dispatch(strings.ToLower(parts[0]))
	if err != nil {
		return nil, hcn.AsError(err)
	}
	return out, nil
}

func noSuchPath(method, path string) error {
	return hcn.Errorf(hcn.ErrElementNotFound, "no %s %s", method, path)
}

// v1Request is a request split into its parts.
type v1Request struct {
	s            *Service
	method, path string
	id, verb     string
	body         []byte
}

func (r *v1Request) dispatch(collection string) ([]byte, error) {
	switch collection {
	case "networks":
		return r.networks()
	case "endpoints":
		return r.endpoints()
	case "endpointstats":
		return r.endpointStats()
	case "endpointaddresses":
		return r.endpointAddresses()
	case "policylists":
		return r.policyLists()
	case "namespaces":
		return r.namespaces()
	case "globals":
		return r.globals()
	case "accelnet":
		return r.accelnet()
	case "activities":
		return r.activities()
	case "plugins", "portpools": // nothing that the model has (A.5)
		if r.method == "GET" && r.id == "" {
			return []byte("[]"), r.s.read(func(*State) error { return nil })
		}
	}
	return nil, noSuchPath(r.method, r.path)
}

func (r *v1Request) activities() ([]byte, error) {
	if r.method != "GET" || r.id != "" {
		return nil, noSuchPath(r.method, r.path)
	}
	var out []byte
	err := r.s.read(func(cur *State) error {
		out = mustJSON((&view{s: r.s, cur: cur}).activities())
		return nil
	})
	return out, err
}

// list shows every object of some kinds in the v1 shape.
func (r *v1Request) list(kinds ...Kind) ([]byte, error) {
	docs := []json.RawMessage{}
	err := r.s.read(func(cur *State) error {
		v := &view{s: r.s, cur: cur}
		for _, k := range kinds {
			list, err := v.objects(k)
			if err != nil {
				return err
			}
			for _, o := range list {
				docs = append(docs, o.show(hcn.V1))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return mustJSON(docs), nil
}

// show returns one object in the v1 shape.
func (r *v1Request) show(kind Kind, id string) ([]byte, error) {
	return r.s.Query(kind, id, []byte(`{"SchemaVersion":{"Major":1,"Minor":0}}`))
}

// gone is the answer for deleting what does not exist: old builds have a
// sentence of their own, which docker looks for (D.3 #8, D.4).
func (r *v1Request) gone(err error) error {
	old := r.s.cfg.Profile.Version.Major < 9
	if e := hcn.AsError(err); e != nil && old && (e.Code == hcn.ErrNetworkNotFound || e.Code == hcn.ErrEndpointNotFound) {
		return hcn.Errorf(hcn.ErrInvalidObjectID, "%s", e.Detail)
	}
	return err
}

func (r *v1Request) networks() ([]byte, error) {
	switch {
	case r.verb != "":
		return nil, noSuchPath(r.method, r.path)
	case r.method == "GET" && r.id == "":
		return r.list(NetworkKind)
	case r.method == "GET":
		return r.show(NetworkKind, r.id)
	case r.method == "POST" && r.id == "":
		id, err := r.s.CreateNetwork("", r.body)
		if err != nil {
			return nil, err
		}
		return r.show(NetworkKind, id)
	case r.method == "POST":
		if err := r.s.updateNetwork(r.id, r.body); err != nil {
			return nil, err
		}
		return r.show(NetworkKind, r.id)
	case r.method == "DELETE" && r.id != "":
		return nil, r.gone(r.s.DeleteNetwork(r.id))
	}
	return nil, noSuchPath(r.method, r.path)
}

func (r *v1Request) endpoints() ([]byte, error) {
	switch {
	case r.method == "GET" && r.id == "":
		return r.list(EndpointKind)
	case r.method == "GET" && (r.verb == "" || r.verb == "detailed"):
		return r.show(EndpointKind, r.id)
	case r.method == "POST" && r.id == "":
		id, err := r.s.createEndpoint("", "", r.body, hcn.ErrElementNotFound)
		if err != nil {
			return nil, err
		}
		return r.show(EndpointKind, id)
	case r.method == "POST" && r.verb == "":
		if err := r.s.updateEndpoint(r.id, r.body); err != nil {
			return nil, err
		}
		return r.show(EndpointKind, r.id)
	case r.method == "POST" && (r.verb == "attach" || r.verb == "detach"):
		return r.attach()
	case r.method == "DELETE" && r.id != "" && r.verb == "":
		return nil, r.gone(r.s.DeleteEndpoint(r.id))
	}
	return nil, noSuchPath(r.method, r.path)
}

func (r *v1Request) attach() ([]byte, error) {
	a, err := hcn.DecodeAttachRequest(r.body)
	if err != nil {
		return nil, err
	}
	req := AttachRequest{ContainerID: a.ContainerID, CompartmentID: a.CompartmentID, VirtualNicName: a.VirtualNicName}
	for _, t := range []SystemType{ToContainer, ToVirtualMachine, ToHost} {
		if strings.EqualFold(string(t), a.SystemType) {
			req.SystemType = t
		}
	}
	if req.SystemType == NotAttached {
		return nil, hcn.ErrorAt(hcn.ErrInvalidParameter, "SystemType", fmt.Sprintf("%q", a.SystemType), "Container, VirtualMachine or Host")
	}
	if r.verb == "detach" {
		return nil, r.s.DetachEndpoint(r.id, req)
	}
	return nil, r.s.AttachEndpoint(r.id, req)
}

func (r *v1Request) endpointStats() ([]byte, error) {
	if r.method != "GET" || r.id == "" || r.verb != "" {
		return nil, noSuchPath(r.method, r.path)
	}
	var found *Endpoint
	err := r.s.read(func(cur *State) error {
		if found = cur.EndpointByID(r.id); found == nil {
			return endpointNotFound(r.id)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r.s.statsDocument(found), nil
}

func (r *v1Request) endpointAddresses() ([]byte, error) {
	if r.method != "GET" || r.id == "" || r.verb != "" {
		return nil, noSuchPath(r.method, r.path)
	}
	type address struct {
		IPAddress    string
		PrefixLength int
	}
	list := []address{}
	err := r.s.read(func(cur *State) error {
		e := cur.EndpointByID(r.id)
		if e == nil {
			return endpointNotFound(r.id)
		}
		for _, a := range e.Addrs {
			list = append(list, address{a.IP.String(), a.Bits})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return mustJSON(list), nil
}

func (r *v1Request) policyLists() ([]byte, error) {
	switch {
	case r.verb != "":
		return nil, noSuchPath(r.method, r.path)
	case r.method == "GET" && r.id == "":
		return r.list(LoadBalancerKind, RouteKind)
	case r.method == "GET":
		return r.show(r.policyListKind(), r.id)
	case r.method == "POST" && r.id == "":
		lb, route, err := hcn.DecodePolicyList(r.body)
		if err != nil {
			return nil, err
		}
		kind, id := LoadBalancerKind, ""
		if lb != nil {
			id, err = r.s.createBalancer("", lb, r.body)
		} else {
			kind = RouteKind
			id, err = r.s.createRoute("", route, r.body, hcn.V1)
		}
		if err != nil {
			return nil, err
		}
		return r.show(kind, id)
	case r.method == "DELETE" && r.id != "":
		return nil, r.s.Delete(r.policyListKind(), r.id)
	}
	return nil, noSuchPath(r.method, r.path)
}

// policyListKind tells which kind of object an id of a policy list is.
func (r *v1Request) policyListKind() Kind {
	if r.s.State().routeByID(r.id) != nil {
		return RouteKind
	}
	return LoadBalancerKind
}

func (r *v1Request) namespaces() ([]byte, error) {
	switch {
	case r.method == "GET" && r.id == "":
		return r.list(NamespaceKind)
	case r.method == "GET" && r.verb == "":
		return r.show(NamespaceKind, r.id)
	case r.method == "POST" && r.id == "":
		id, err := r.s.CreateNamespace("", r.body)
		if err != nil {
			return nil, err
		}
		return r.show(NamespaceKind, id)
	case r.method == "POST" && (r.verb == "addresource" || r.verb == "removeresource"):
		return nil, r.s.namespaceResource(r.id, r.verb == "addresource", r.body)
	case r.method == "DELETE" && r.id != "" && r.verb == "":
		return nil, r.s.DeleteNamespace(r.id)
	}
	return nil, noSuchPath(r.method, r.path)
}

func (r *v1Request) globals() ([]byte, error) {
	if r.method != "GET" || r.verb != "" || r.id != "" && !strings.EqualFold(r.id, "version") {
		return nil, noSuchPath(r.method, r.path)
	}
	v := r.s.cfg.Profile.Version
	version := []byte(fmt.Sprintf(`{"Major":%d,"Minor":%d}`, v.Major, v.Minor))
	if r.id == "" {
		version = []byte(fmt.Sprintf(`{"Version":%s}`, version))
	}
	return version, r.s.read(func(*State) error { return nil })
}

// accelnet keeps the list of MAC addresses for accelerated networking; DELETE
// answers with the empty list because the caller reads one (A.5).
func (r *v1Request) accelnet() ([]byte, error) {
	if r.id != "" || r.method != "GET" && r.method != "POST" && r.method != "DELETE" {
		return nil, noSuchPath(r.method, r.path)
	}
	if !r.s.cfg.Profile.Supports(hcn.FeatureAccelnet) {
		f, _ := hcn.FindFeature(hcn.FeatureAccelnet)
		return nil, hcn.Errorf(hcn.ErrNotImplemented, "accelnet needs HNS %s", f.RangeText())
	}
	var given []string
	if r.method == "POST" {
		var err error
		if given, err = hcn.DecodeAccelnet(r.body); err != nil {
			return nil, err
		}
	}
	type entry struct{ MacAddress string }
	list := []entry{}
	err := r.s.change(func(t *tx) error {
		switch r.method {
		case "POST":
			t.next.accelnet, t.dirty = given, true
		case "DELETE":
			t.next.accelnet, t.dirty = nil, true
		}
		for _, m := range t.next.accelnet {
			list = append(list, entry{m})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return mustJSON(struct{ MacAddressList []entry }{list}), nil
}
