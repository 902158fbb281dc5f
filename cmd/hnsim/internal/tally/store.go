package tally

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Store is the objects of a host by kind, each as its document.
type Store map[string][]json.RawMessage

// Kinds are the kinds of objects, in the order in which they are shown.
var Kinds = []string{"network", "endpoint", "namespace", "loadbalancer", "route"}

// What has happened to an object.
const (
	Added   = "added"
	Changed = "changed"
	Removed = "removed"
)

// Change is what has happened to one object.
type Change struct {
	What string `json:"what"`
	Kind string `json:"kind"`
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	// Members are the JSON paths of what changed: "Policies[0].Settings".
	Members []string `json:"members,omitempty"`
}

// object is a document with what identifies it.
type object struct {
	id, name string
	doc      map[string]any
}

// Diff compares two states of a store. Changes come by kind, then in the order
// of the documents; what is gone comes first.
func Diff(before, after Store) ([]Change, error) {
	changes := []Change{}
	for _, kind := range Kinds {
		old, err := objects(kind, before[kind])
		if err != nil {
			return nil, err
		}
		now, err := objects(kind, after[kind])
		if err != nil {
			return nil, err
		}
		for _, o := range old {
			if find(now, o.id) == nil {
				changes = append(changes, Change{What: Removed, Kind: kind, ID: o.id, Name: o.name})
			}
		}
		for _, n := range now {
			o := find(old, n.id)
			if o == nil {
				changes = append(changes, Change{What: Added, Kind: kind, ID: n.id, Name: n.name})
				continue
			}
			if members := differences("", o.doc, n.doc); len(members) > 0 {
				changes = append(changes, Change{What: Changed, Kind: kind, ID: n.id, Name: n.name, Members: members})
			}
		}
	}
	return changes, nil
}

func objects(kind string, docs []json.RawMessage) ([]object, error) {
	var out []object
	for i, raw := range docs {
		var o object
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		if err := dec.Decode(&o.doc); err != nil {
			return nil, fmt.Errorf("%s %d of the store: %w", kind, i, err)
		}
		o.id, _ = o.doc["ID"].(string)
		o.name = nameOf(o.doc)
		out = append(out, o)
	}
	return out, nil
}

// nameOf is what people would call an object: many have no name.
func nameOf(doc map[string]any) string {
	if name, _ := doc["Name"].(string); name != "" {
		return name
	}
	if vips, _ := doc["FrontendVIPs"].([]any); len(vips) > 0 {
		return fmt.Sprint(vips[0])
	}
	return ""
}

func find(list []object, id string) *object {
	for i := range list {
		if strings.EqualFold(list[i].id, id) {
			return &list[i]
		}
	}
	return nil
}

// differences lists the paths at which two values differ. Lists of different
// lengths differ as a whole.
func differences(path string, a, b any) []string {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			return []string{path}
		}
		var out []string
		keys := maps.Clone(x)
		maps.Copy(keys, y)
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			at := k
			if path != "" {
				at = path + "." + k
			}
			xv, inX := x[k]
			yv, inY := y[k]
			if inX != inY {
				out = append(out, at)
				continue
			}
			out = append(out, differences(at, xv, yv)...)
		}
		return out
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return []string{path}
		}
		var out []string
		for i := range x {
			out = append(out, differences(fmt.Sprintf("%s[%d]", path, i), x[i], y[i])...)
		}
		return out
	}
	if a != b {
		return []string{cmp.Or(path, "document")}
	}
	return nil
}
