package hns

import (
	"encoding/json"
	"errors"
	"strings"
	"syscall"

	"github.com/Microsoft/go-winio/pkg/guid"
	hcsshim "github.com/Microsoft/hcsshim/hcn"
	"golang.org/x/sys/windows"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

// shim is this machine's HNS through hcsshim.
type shim struct{}

var _ control = shim{}

func localControl() control { return shim{} }

// family are the functions of a kind of object.
type family struct {
	enumerate func(query string, out, result **uint16) error
	// create makes an object and returns its id; with an id that was chosen,
	// createAs is used.
	create   func(parent, settings string) (string, error)
	createAs func(parent syscall.Handle, id *guid.GUID, settings string, h *syscall.Handle, result **uint16) error
	open     func(id *guid.GUID, h *syscall.Handle, result **uint16) error
	modify   func(id, settings string) error
	query    func(h syscall.Handle, query string, out, result **uint16) error
	delete   func(id string) error
	close    func(h syscall.Handle) error
}

// alone adapts a create function of objects without a parent.
func alone(create func(*guid.GUID, string, *syscall.Handle, **uint16) error) func(syscall.Handle, *guid.GUID, string, *syscall.Handle, **uint16) error {
	return func(_ syscall.Handle, id *guid.GUID, settings string, h *syscall.Handle, result **uint16) error {
		return create(id, settings, h, result)
	}
}

// idOf is the id of what hcsshim returned.
func idOf[T any](obj *T, err error, id func(*T) string) (string, error) {
	if err != nil {
		return "", err
	}
	return id(obj), nil
}

var families = map[string]family{
	"network": {
		hcnEnumerateNetworks,
		func(_, s string) (string, error) {
			n, err := createNetwork(s)
			return idOf(n, err, func(n *hcsshim.HostComputeNetwork) string { return n.Id })
		},
		alone(hcnCreateNetwork), hcnOpenNetwork,
		func(id, s string) error { _, err := modifyNetwork(id, s); return err },
		hcnQueryNetworkProperties, deleteNetwork, hcnCloseNetwork,
	},
	"endpoint": {
		hcnEnumerateEndpoints,
		func(parent, s string) (string, error) {
			e, err := createEndpoint(parent, s)
			return idOf(e, err, func(e *hcsshim.HostComputeEndpoint) string { return e.Id })
		},
		hcnCreateEndpoint, hcnOpenEndpoint,
		func(id, s string) error { _, err := modifyEndpoint(id, s); return err },
		hcnQueryEndpointProperties, deleteEndpoint, hcnCloseEndpoint,
	},
	"namespace": {
		hcnEnumerateNamespaces,
		func(_, s string) (string, error) {
			n, err := createNamespace(s)
			return idOf(n, err, func(n *hcsshim.HostComputeNamespace) string { return n.Id })
		},
		alone(hcnCreateNamespace), hcnOpenNamespace,
		func(id, s string) error { _, err := modifyNamespace(id, s); return err },
		hcnQueryNamespaceProperties, deleteNamespace, hcnCloseNamespace,
	},
	"loadbalancer": {
		hcnEnumerateLoadBalancers,
		func(_, s string) (string, error) {
			l, err := createLoadBalancer(s)
			return idOf(l, err, func(l *hcsshim.HostComputeLoadBalancer) string { return l.Id })
		},
		alone(hcnCreateLoadBalancer), hcnOpenLoadBalancer,
		func(id, s string) error { _, err := updateLoadBalancer(id, s); return err },
		hcnQueryLoadBalancerProperties, deleteLoadBalancer, hcnCloseLoadBalancer,
	},
	"route": {
		hcnEnumerateRoutes,
		func(_, s string) (string, error) {
			r, err := createRoute(s)
			return idOf(r, err, func(r *hcsshim.HostComputeRoute) string { return r.ID })
		},
		alone(hcnCreateRoute), hcnOpenRoute, modifyRoute,
		hcnQueryRouteProperties, deleteRoute, hcnCloseRoute,
	},
}

// modifyRoute is what hcsshim has no function for.
func modifyRoute(id, settings string) error {
	return opened(family{open: hcnOpenRoute, close: hcnCloseRoute}, id, func(h syscall.Handle) error {
		var result *uint16
		return answer(hcnModifyRoute(h, settings, &result), result)
	})
}

func (shim) do(op backends.HCNOp) (backends.HCNResult, error) {
	if op.Kind == "hnscall" {
		doc, err := v1Call(op.Verb, op.Path, string(op.Body))
		return backends.HCNResult{Document: doc}, err
	}
	f, ok := families[op.Kind]
	if !ok {
		return backends.HCNResult{}, hcn.Errorf(hcn.ErrInvalidParameter, "no kind of object %q", op.Kind)
	}
	res, err := f.do(op)
	if err != nil {
		return backends.HCNResult{}, translate(err)
	}
	return res, nil
}

func (f family) do(op backends.HCNOp) (res backends.HCNResult, err error) {
	res.ID = op.ID
	switch op.Verb {
	case "create":
		if res.ID, err = f.make(op); err != nil {
			return res, err
		}
		res.Document, err = f.properties(res.ID, defaultQuery)
	case "modify":
		if err = f.modify(op.ID, string(op.Body)); err != nil {
			return res, err
		}
		res.Document, err = f.properties(res.ID, defaultQuery)
	case "open":
		err = opened(f, op.ID, func(syscall.Handle) error { return nil })
	case "query":
		res.Document, err = f.properties(op.ID, queryText(op.Body))
	case "delete":
		err = f.delete(op.ID)
	case "enumerate":
		var out, result *uint16
		err = answer(f.enumerate(queryText(op.Body), &out, &result), result)
		res.ID, res.Document = "", json.RawMessage(take(out))
	default:
		err = noVerb(op)
	}
	return res, err
}

// make creates an object and returns its id.
func (f family) make(op backends.HCNOp) (string, error) {
	if op.ID == "" {
		return f.create(op.Parent, string(op.Body))
	}
	id, err := guid.FromString(op.ID)
	if err != nil {
		return "", hcn.Errorf(hcn.ErrInvalidParameter, "id %q: expected a GUID", op.ID)
	}
	create := func(parent syscall.Handle) error {
		var h syscall.Handle
		var result *uint16
		if err := answer(f.createAs(parent, &id, string(op.Body), &h, &result), result); err != nil {
			return err
		}
		return f.close(h)
	}
	if op.Kind == "endpoint" {
		return op.ID, opened(families["network"], op.Parent, create)
	}
	return op.ID, create(0)
}

// properties is an object's document as HNS returns it.
func (f family) properties(id, query string) (doc json.RawMessage, err error) {
	err = opened(f, id, func(h syscall.Handle) error {
		var out, result *uint16
		err := answer(f.query(h, query, &out, &result), result)
		doc = json.RawMessage(take(out))
		return err
	})
	return doc, err
}

// opened opens an object for as long as use runs.
func opened(f family, id string, use func(syscall.Handle) error) error {
	g, err := guid.FromString(id)
	if err != nil {
		return hcn.Errorf(hcn.ErrInvalidParameter, "id %q: expected a GUID", id)
	}
	var h syscall.Handle
	var result *uint16
	if err := answer(f.open(&g, &h, &result), result); err != nil {
		return err
	}
	return errors.Join(use(h), f.close(h))
}

// take reads a text that the callee has allocated, and frees it.
func take(p *uint16) string {
	if p == nil {
		return ""
	}
	s := windows.UTF16PtrToString(p)
	windows.CoTaskMemFree(ptr(p))
	return s
}

// answer is the error of a system call with its error record.
func answer(hr error, result *uint16) error {
	text := take(result)
	if hr == nil {
		return nil
	}
	return systemError(hr, text)
}

// systemError is the refusal behind an error of a system call. Others, a
// function that the DLL lacks for one, stay what they are.
func systemError(hr error, text string) error {
	var code windows.Errno
	if !errors.As(hr, &code) {
		return hr
	}
	return refusal(uint32(code), text)
}

// translate finds the refusal in an error of hcsshim's.
func translate(err error) error {
	var own *hcn.Error
	var theirs *hcsshim.HcnError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &theirs):
		text := ""
		if at := strings.IndexByte(theirs.Error(), '{'); at >= 0 {
			text = theirs.Error()[at:]
		}
		return systemError(theirs.Err, text)
	case strings.HasPrefix(err.Error(), "invalid ") && strings.HasSuffix(err.Error(), " ID"):
		// hcsshim reads GUIDs itself before it calls HNS.
		return hcn.Errorf(hcn.ErrInvalidParameter, "%v: expected a GUID", err)
	}
	return err
}

// v1Call is HNSCall: the envelope's output, or the refusal in it.
func v1Call(method, path, body string) (json.RawMessage, error) {
	var out *uint16
	hr := hnsCall(method, path, body, &out)
	text := take(out)
	if hr != nil {
		return nil, systemError(hr, text)
	}
	var r record
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return nil, errors.Join(errors.New("HNSCall "+method+" "+path+" answered no JSON: "+text), err)
	}
	if !r.Success {
		return nil, refusal(r.ErrorCode, text)
	}
	return r.Output, nil
}

// version asks as hcsshim does.
func (shim) version() (hcn.HNSVersion, error) {
	g, err := hcsshim.GetGlobals()
	if err != nil {
		return hcn.HNSVersion{}, translate(err)
	}
	return hcn.HNSVersion{Major: uint32(g.Version.Major), Minor: uint32(g.Version.Minor)}, nil
}
