package hcntest

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/hns"
)

// Host is a Windows host with its HNS. It implements HCN.
type Host struct {
	lab    *Lab
	sim    *sim.Host
	name   string
	self   *Pod
	pods   map[string]*Pod // by the id of the endpoint
	faults []Fault
	// eachOnce is what the first call of every method answers, 0 for nothing;
	// failed are the methods that have had theirs.
	eachOnce ErrorCode
	failed   map[string]bool
}

// Name is the host's name.
func (h *Host) Name() string { return h.name }

// object is a kind of object with its part of the names of functions.
type object struct {
	kind   hns.Kind
	name   string
	badID  error
	plural string
}

var (
	networks      = object{hns.NetworkKind, "Network", errors.New("invalid network ID"), "Networks"}
	endpoints     = object{hns.EndpointKind, "Endpoint", errors.New("invalid endpoint ID"), "Endpoints"}
	namespaces    = object{hns.NamespaceKind, "Namespace", errors.New("invalid namespace ID"), "Namespaces"}
	loadBalancers = object{hns.LoadBalancerKind, "LoadBalancer", errors.New("invalid load balancer ID"), "LoadBalancers"}
	routes        = object{hns.RouteKind, "Route", errors.New("invalid route ID"), "Routes"}
)

// invoke carries out one call with the lab's lock held: time, fault, the work,
// the record.
func invoke[T any](h *Host, c Call, function string, work func(s *hns.Service) (T, error)) (T, error) {
	var out, none T
	l := h.lab
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.tick()
	f := h.fault(c.Method)
	if err == nil && f != nil && !f.After {
		err = refused(function, hcn.Errorf(f.Code.hresult(), "a fault of the test"))
	}
	if err == nil {
		out, err = work(h.sim.HNS)
	}
	if err == nil {
		err = l.tick()
	}
	if err == nil && f != nil && f.After {
		err = refused(function, hcn.Errorf(f.Code.hresult(), "a fault of the test, after the work was done"))
	}
	c.Host, c.Err = h.name, err
	if err != nil {
		out = none
	} else if r, merr := json.Marshal(out); merr == nil && string(r) != "{}" {
		c.Result = string(r)
	}
	l.calls = append(l.calls, c)
	return out, err
}

// nothing is the result of calls that have none.
type nothing struct{}

// defaultQuery is what hcsshim sends when it does not look for anything in
// particular.
const defaultQuery = `{"SchemaVersion":{"Major":2,"Minor":0}}`

// filterQuery looks for a member with a value.
func filterQuery(member, value string) HostComputeQuery {
	return HostComputeQuery{SchemaVersion: V2SchemaVersion(), Filter: string(mustJSON(map[string]string{member: value}))}
}

// query reads one object's properties.
func query[T any](s *hns.Service, o object, id, q string) (*T, error) {
	raw, err := s.Query(o.kind, id, []byte(q))
	if err != nil {
		return nil, refused("hcnQuery"+o.name+"Properties", err)
	}
	out := new(T)
	return out, json.Unmarshal(raw, out)
}

// list reads the objects that a query selects as hcsshim does: the ids that
// match, then every object by itself.
func list[T any](s *hns.Service, o object, q string) ([]T, error) {
	raw, err := s.Enumerate(o.kind, []byte(q))
	if err != nil {
		return nil, refused("hcnEnumerate"+o.plural, err)
	}
	var ids []string
	if err := json.Unmarshal(raw, &ids); err != nil {
		return nil, err
	}
	var out []T
	for _, id := range ids {
		if err := s.Open(o.kind, id); err != nil {
			return nil, refused("hcnOpen"+o.name, err)
		}
		one, err := query[T](s, o, id, q)
		if err != nil {
			return nil, err
		}
		out = append(out, *one)
	}
	return out, nil
}

func enumerate[T any](h *Host, method string, o object, q HostComputeQuery) ([]T, error) {
	text := string(mustJSON(q))
	return invoke(h, Call{Method: method, Request: text}, "hcnEnumerate"+o.plural, func(s *hns.Service) ([]T, error) {
		return list[T](s, o, text)
	})
}

// find looks for an object by a member; missing is the error if there is none.
func find[T any](h *Host, method string, o object, member, value string, missing error) (*T, error) {
	text := string(mustJSON(filterQuery(member, value)))
	return invoke(h, Call{Method: method, ID: value, Request: text}, "hcnEnumerate"+o.plural, func(s *hns.Service) (*T, error) {
		found, err := list[T](s, o, text)
		if err == nil && len(found) == 0 {
			err = missing
		}
		if err != nil {
			return nil, err
		}
		return &found[0], nil
	})
}

func create[T any](h *Host, method string, o object, parent string, doc any) (*T, error) {
	settings, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	function := "hcnCreate" + o.name
	return invoke(h, Call{Method: method, Request: string(settings)}, function, func(s *hns.Service) (*T, error) {
		if o.kind == hns.EndpointKind {
			if _, ok := hcn.ParseGUID(parent); !ok {
				return nil, networks.badID
			}
			if err := s.Open(hns.NetworkKind, parent); err != nil {
				return nil, refused("hcnOpenNetwork", err)
			}
		}
		id, err := s.Create(o.kind, "", parent, settings)
		if err != nil {
			return nil, refused(function, err)
		}
		return query[T](s, o, id, defaultQuery)
	})
}

// modify opens, modifies and queries, as hcsshim does.
func modify[T any](h *Host, method string, o object, id string, request any) (*T, error) {
	settings, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	return invoke(h, Call{Method: method, ID: id, Request: string(settings)}, "hcnModify"+o.name, func(s *hns.Service) (*T, error) {
		if _, ok := hcn.ParseGUID(id); !ok {
			return nil, o.badID
		}
		if err := s.Open(o.kind, id); err != nil {
			return nil, refused("hcnOpen"+o.name, err)
		}
		if err := s.Modify(o.kind, id, settings); err != nil {
			return nil, refused("hcnModify"+o.name, err)
		}
		return query[T](s, o, id, defaultQuery)
	})
}

func remove(h *Host, method string, o object, id string) error {
	_, err := invoke(h, Call{Method: method, ID: id}, "hcnDelete"+o.name, func(s *hns.Service) (nothing, error) {
		if _, ok := hcn.ParseGUID(id); !ok {
			return nothing{}, o.badID
		}
		return nothing{}, refused("hcnDelete"+o.name, s.Delete(o.kind, id))
	})
	return err
}

// GetGlobals returns the version of the service.
func (h *Host) GetGlobals() (*Globals, error) { return h.globals("GetGlobals") }

func (h *Host) globals(method string) (*Globals, error) {
	raw, err := h.hnsCall(method, "GET", "/globals/version", "")
	if err != nil {
		return nil, err
	}
	g := new(Globals)
	return g, json.Unmarshal(raw, &g.Version)
}

// GetCachedSupportedFeatures returns what the service's version has. Nothing
// is cached here: a lab may have hosts of several tests.
func (h *Host) GetCachedSupportedFeatures() (SupportedFeatures, error) {
	g, err := h.globals("GetCachedSupportedFeatures")
	if err != nil {
		return SupportedFeatures{}, fmt.Errorf("failed to query HCN version number: this is expected on pre 1803 builds.: %w", err)
	}
	return featuresOf(g.Version), nil
}

// GetSupportedFeatures is GetCachedSupportedFeatures without the error: when
// HNS does not answer nothing is supported.
func (h *Host) GetSupportedFeatures() SupportedFeatures {
	g, err := h.globals("GetSupportedFeatures")
	if err != nil {
		return SupportedFeatures{}
	}
	return featuresOf(g.Version)
}

// HNSCall carries out a request of the v1 interface.
func (h *Host) HNSCall(method, path, request string) (json.RawMessage, error) {
	return h.hnsCall("HNSCall", method, path, request)
}

func (h *Host) hnsCall(call, method, path, request string) (json.RawMessage, error) {
	c := Call{Method: call, ID: method + " " + path, Request: request}
	return invoke(h, c, "hnsCall", func(s *hns.Service) (json.RawMessage, error) {
		raw, code := s.HNSCall(method, path, []byte(request))
		if code != 0 { // hcsshim drops the text then (rule A21)
			return nil, &HcnError{Function: "hnsCall", Code: errorCode(code)}
		}
		var answer struct {
			Success bool
			Error   string
			Output  json.RawMessage
		}
		if err := json.Unmarshal(raw, &answer); err != nil {
			return nil, err
		}
		if !answer.Success {
			return nil, fmt.Errorf("hns failed with error : %s", answer.Error)
		}
		return answer.Output, nil
	})
}
