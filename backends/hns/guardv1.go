package hns

import (
	"encoding/json"
	"strings"

	"github.com/hnsim/hnsim/backends"
)

// collections of the v1 interface whose objects belong to somebody.
var collections = map[string]string{"networks": "network", "endpoints": "endpoint", "policylists": "policylist", "namespaces": "namespace"}

// v1 is do for calls of the v1 interface. What is asked for, and what is
// changed in the collections above, goes through; everything else would change
// the machine.
func (g *guard) v1(op backends.HCNOp) (backends.HCNResult, error) {
	parts := strings.FieldsFunc(op.Path, func(r rune) bool { return r == '/' })
	reads := strings.EqualFold(op.Verb, "GET")
	kind := ""
	if len(parts) > 0 {
		kind = collections[strings.ToLower(parts[0])]
	}
	switch {
	case kind == "" && reads:
		return g.carryOut(op)
	case kind == "":
		return backends.HCNResult{}, unsupported("%s %s would change this machine, not what this run has made", op.Verb, op.Path)
	case len(parts) == 1 && reads:
		return g.list(op)
	case len(parts) == 1:
		return g.post(op, kind)
	}
	if err := g.ownedV1(kind, parts[1]); err != nil {
		return backends.HCNResult{}, err
	}
	res, err := g.carryOut(op)
	if err != nil {
		return res, err
	}
	res.Document = g.tag.unmark(res.Document)
	if len(parts) == 2 && strings.EqualFold(op.Verb, "DELETE") {
		return res, g.gone(parts[1])
	}
	return res, nil
}

// ownedV1 is owned by way of the v1 interface, which has objects that v2 does
// not know.
func (g *guard) ownedV1(kind, id string) error {
	if kind != "policylist" {
		return g.owned(kind, id)
	}
	g.mu.Lock()
	_, ok := g.mine[strings.ToLower(id)]
	g.mu.Unlock()
	if ok || g.opt.DryRun != nil {
		return nil
	}
	if _, err := g.next.do(backends.HCNOp{Kind: "hnscall", Verb: "GET", Path: "/policylists/" + id}); err != nil {
		return err
	}
	return usage("policy list %s was not created by this run (tag %s): it is left alone", id, g.tag)
}

// post creates an object.
func (g *guard) post(op backends.HCNOp, kind string) (backends.HCNResult, error) {
	var d struct {
		Type, VirtualNetwork string
		References           []string
	}
	_ = json.Unmarshal(op.Body, &d)
	if kind == "network" {
		if err := g.allowedType(d.Type); err != nil {
			return backends.HCNResult{}, err
		}
	}
	if kind == "endpoint" {
		if err := g.owned("network", d.VirtualNetwork); err != nil {
			return backends.HCNResult{}, err
		}
	}
	for _, ref := range d.References {
		if err := g.owned("endpoint", strings.TrimPrefix(strings.ToLower(ref), "/endpoints/")); err != nil {
			return backends.HCNResult{}, err
		}
	}
	var err error
	if op.Body, err = g.tag.mark(op.Body, kind == "network" || kind == "endpoint"); err != nil {
		return backends.HCNResult{}, err
	}
	res, err := g.carryOut(op)
	if err != nil {
		return res, err
	}
	res.Document = g.tag.unmark(res.Document)
	var obj struct{ ID string }
	if json.Unmarshal(res.Document, &obj) == nil && obj.ID != "" {
		err = g.take(kind, obj.ID)
	}
	return res, err
}

// list shows what is this run's.
func (g *guard) list(op backends.HCNOp) (backends.HCNResult, error) {
	res, err := g.carryOut(op)
	if err != nil {
		return res, err
	}
	var all []json.RawMessage
	if json.Unmarshal(res.Document, &all) != nil {
		return res, nil // no list: nothing to hide
	}
	own := []json.RawMessage{}
	g.mu.Lock()
	for _, doc := range all {
		var obj struct{ ID string }
		if json.Unmarshal(doc, &obj) == nil && g.mine[strings.ToLower(obj.ID)] != "" {
			own = append(own, doc)
		}
	}
	g.mu.Unlock()
	raw, err := json.Marshal(own)
	res.Document = g.tag.unmark(raw)
	return res, err
}
