package hns

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

// guard stands between scenarios and the HNS of somebody's machine. What it
// creates carries the tag of the run; what it did not create it neither changes
// nor shows; what would interrupt the machine's own connections needs the
// user's word. Refusals are *backends.UsageError, and *UnsupportedError where
// the scenario is to be skipped.
type guard struct {
	next control
	tag  Tag
	opt  Options
	keep journal

	mu   sync.Mutex
	mine map[string]string // kind by id, lower case
	made []made            // in order
}

// made is something that a run has created.
type made struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
	Gone bool   `json:"gone,omitempty"`
}

// journal outlives a crash: what it has been told of can be found again.
type journal interface {
	note(made) error
}

func newGuard(next control, tag Tag, opt Options, keep journal) *guard {
	return &guard{next: next, tag: tag, opt: opt, keep: keep, mine: map[string]string{}}
}

// external are the types of network that take over a network adapter (rule
// VS-04).
var external = map[string]backends.Capability{
	"transparent": backends.TransparentNetwork, "l2bridge": backends.L2BridgeNetwork,
	"l2tunnel": backends.L2TunnelNetwork, "overlay": backends.OverlayNetwork,
}

// interrupts says what an external network does to the machine.
const interrupts = "takes over a network adapter of this machine and interrupts its connections (VS-04): allow it with --allow-external"

func (g *guard) version() (hcn.HNSVersion, error) { return g.next.version() }

// do carries out an operation on what belongs to this run.
func (g *guard) do(op backends.HCNOp) (backends.HCNResult, error) {
	if op.Kind == "hnscall" {
		return g.v1(op)
	}
	switch op.Verb {
	case "create":
		return g.create(op)
	case "enumerate":
		return g.enumerate(op)
	}
	if err := g.owned(op.Kind, op.ID); err != nil {
		return backends.HCNResult{}, err
	}
	res, err := g.carryOut(op)
	if err != nil {
		return res, err
	}
	if op.Verb == "delete" {
		return res, g.gone(op.ID)
	}
	res.Document = g.tag.unmark(res.Document)
	return res, nil
}

// owned refuses objects that this run has not created. HNS itself answers for
// those that nobody has: whether an id exists is a scenario's question, too.
func (g *guard) owned(kind, id string) error {
	g.mu.Lock()
	_, ok := g.mine[strings.ToLower(id)]
	g.mu.Unlock()
	if ok || g.opt.DryRun != nil {
		return nil
	}
	_, err := g.next.do(backends.HCNOp{Kind: kind, Verb: "query", ID: id})
	if err != nil {
		return err
	}
	return usage("%s %s was not created by this run (tag %s): it is left alone", kind, id, g.tag)
}

// create tags an object and takes it over.
func (g *guard) create(op backends.HCNOp) (backends.HCNResult, error) {
	if err := g.allowed(op); err != nil {
		return backends.HCNResult{}, err
	}
	var err error
	// Balancers, routes and namespaces need no name; networks and endpoints are
	// found by theirs if this program dies now.
	if op.Body, err = g.tag.mark(op.Body, op.Kind == "network" || op.Kind == "endpoint"); err != nil {
		return backends.HCNResult{}, err
	}
	if op.Kind == "network" {
		op.Body = g.onAdapter(op.Body)
	}
	res, err := g.carryOut(op)
	if err != nil {
		return res, err
	}
	res.Document = g.tag.unmark(res.Document)
	return res, g.take(op.Kind, res.ID)
}

// document is what the guard looks at.
type document struct {
	Type                 string
	HostComputeNetwork   string
	HostComputeEndpoints []string
	Flags                uint32
}

func (g *guard) allowed(op backends.HCNOp) error {
	var d document
	// A document that cannot be read is for HNS to refuse.
	_ = json.Unmarshal(op.Body, &d)
	if op.Kind == "network" {
		return g.allowedType(d.Type)
	}
	refs := slices.Clone(d.HostComputeEndpoints)
	if op.Kind == "endpoint" {
		if err := g.owned("network", op.Parent); err != nil {
			return err
		}
	}
	for _, id := range refs {
		if err := g.owned("endpoint", id); err != nil {
			return err
		}
	}
	return nil
}

func (g *guard) allowedType(kind string) error {
	if _, out := external[strings.ToLower(kind)]; out && !g.opt.AllowExternal {
		return unsupported("a network of type %s %s", kind, interrupts)
	}
	return nil
}

// onAdapter names the adapter that the user has chosen, in networks that name
// none.
func (g *guard) onAdapter(doc []byte) []byte {
	var d struct {
		Type     string
		Policies []struct{ Type string }
	}
	if g.opt.Adapter == "" || json.Unmarshal(doc, &d) != nil {
		return doc
	}
	if _, out := external[strings.ToLower(d.Type)]; !out {
		return doc
	}
	for _, p := range d.Policies {
		if strings.EqualFold(p.Type, "NetAdapterName") || strings.EqualFold(p.Type, "InterfaceConstraint") {
			return doc
		}
	}
	policy, err := json.Marshal(map[string]any{"Type": "NetAdapterName", "Settings": map[string]string{"NetworkAdapterName": g.opt.Adapter}})
	if err != nil {
		return doc
	}
	start, end, err := memberRange(doc, "Policies")
	switch {
	case err != nil:
		return doc
	case start < 0:
		at := strings.IndexByte(string(doc), '{') + 1
		return splice(doc, at, at, `"Policies":[`+string(policy)+`],`)
	}
	list := strings.TrimSpace(string(doc[start:end]))
	if len(d.Policies) == 0 {
		return splice(doc, start, end, "["+string(policy)+"]")
	}
	return splice(doc, start, end, "["+string(policy)+","+strings.TrimPrefix(list, "["))
}

// enumerate shows what is this run's.
func (g *guard) enumerate(op backends.HCNOp) (backends.HCNResult, error) {
	res, err := g.carryOut(op)
	if err != nil {
		return res, err
	}
	var ids []string
	if err := json.Unmarshal(res.Document, &ids); err != nil {
		return res, fmt.Errorf("the list of every %s: %w", op.Kind, err)
	}
	g.mu.Lock()
	ids = slices.DeleteFunc(ids, func(id string) bool { return g.mine[strings.ToLower(id)] == "" })
	g.mu.Unlock()
	res.Document, err = json.Marshal(ids)
	return res, err
}

// take notes that an object is this run's.
func (g *guard) take(kind, id string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := made{Kind: kind, ID: id}
	g.mine[strings.ToLower(id)] = kind
	g.made = append(g.made, m)
	return g.keep.note(m)
}

func (g *guard) gone(id string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := made{Kind: g.mine[strings.ToLower(id)], ID: id, Gone: true}
	delete(g.mine, strings.ToLower(id))
	g.made = slices.DeleteFunc(g.made, func(m made) bool { return strings.EqualFold(m.ID, id) })
	return g.keep.note(m)
}

// carryOut asks HNS, or prints the operation in a dry run.
func (g *guard) carryOut(op backends.HCNOp) (backends.HCNResult, error) {
	if g.opt.DryRun == nil {
		return g.next.do(op)
	}
	return g.rehearse(op)
}

// order in which things are deleted: what refers to others first.
var order = []string{"policylist", "loadbalancer", "route", "endpoint", "namespace", "network"}

// clean deletes everything that is left of the run, and says what could not be
// deleted. What has gone with something else is not missed.
func (g *guard) clean() (left []string, err error) {
	g.mu.Lock()
	all := slices.Clone(g.made)
	g.mu.Unlock()
	slices.Reverse(all)
	for _, m := range all {
		stopContainers(g.carryOut, m)
	}
	for _, kind := range order {
		for _, m := range all {
			if m.Kind != kind {
				continue
			}
			if derr := deleteObject(g.carryOut, m); derr != nil {
				left = append(left, fmt.Sprintf("%s %s (tag %s): %v", m.Kind, m.ID, g.tag, derr))
				continue
			}
			err = errors.Join(err, g.gone(m.ID))
		}
	}
	return left, err
}

// stopContainers takes the containers out of a namespace, which would hold it.
// What goes wrong with that shows when the namespace is deleted.
func stopContainers(do func(backends.HCNOp) (backends.HCNResult, error), m made) {
	if m.Kind != "namespace" {
		return
	}
	res, err := do(backends.HCNOp{Kind: m.Kind, Verb: "query", ID: m.ID})
	var d struct {
		Resources []struct {
			Type string
			Data struct{ ID string }
		}
	}
	if err != nil || json.Unmarshal(res.Document, &d) != nil {
		return
	}
	for _, r := range d.Resources {
		if strings.EqualFold(r.Type, "Container") {
			_, _ = do(backends.HCNOp{Kind: m.Kind, Verb: "modify", ID: m.ID, Body: containerRequest("Remove", r.Data.ID)})
		}
	}
}

// containerRequest adds a container to a namespace, or removes it.
func containerRequest(verb, container string) json.RawMessage {
	return fmt.Appendf(nil, `{"ResourceType":"Container","RequestType":%q,"Settings":{"ContainerId":%q}}`, verb, container)
}

// deleteObject deletes an object; that it has gone already is fine.
func deleteObject(do func(backends.HCNOp) (backends.HCNResult, error), m made) error {
	op := backends.HCNOp{Kind: m.Kind, Verb: "delete", ID: m.ID}
	if m.Kind == "policylist" {
		op = backends.HCNOp{Kind: "hnscall", Verb: "DELETE", Path: "/policylists/" + m.ID}
	}
	_, err := do(op)
	for _, absent := range []hcn.Code{hcn.ErrElementNotFound, hcn.ErrNetworkNotFound, hcn.ErrEndpointNotFound} {
		if errors.Is(err, absent) {
			return nil
		}
	}
	return err
}
