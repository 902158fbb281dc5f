package sdn

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hnsim/hnsim/sim/hcn"
)

// Limits of the store.
const (
	maxDocument  = 1 << 20 // bytes
	maxResources = 8192
)

// store holds the documents of the top resources, in order of their making.
type store struct {
	docs  map[string]map[string]any // by canonical path; never changed, only replaced
	names map[string]string         // path as it was written
	order []string
	turn  int // counts changes, for etags
}

func newStore() *store {
	return &store{docs: map[string]map[string]any{}, names: map[string]string{}}
}

func (s *store) clone() *store {
	c := &store{docs: make(map[string]map[string]any, len(s.docs)), names: make(map[string]string, len(s.names)), order: slices.Clone(s.order), turn: s.turn + 1}
	for k, v := range s.docs {
		c.docs[k], c.names[k] = v, s.names[k]
	}
	return c
}

// parseDocument reads the JSON object that was sent for a resource.
func parseDocument(body []byte) (map[string]any, *Error) {
	if len(body) > maxDocument {
		return nil, invalid("", fmt.Sprintf("%d bytes", len(body)), fmt.Sprintf("at most %d", maxDocument))
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		e := invalid("", "no JSON", "an object")
		e.Detail = err.Error()
		return nil, e
	}
	if d.More() {
		return nil, invalid("", "text behind the document", "one object")
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, invalid("", value{v: v, ok: true}.describe(), "an object")
	}
	return m, nil
}

// put stores a document in a copy of the store.
func (s *store) put(segs []string, doc map[string]any) (*store, *Error) {
	if len(segs)%2 != 0 {
		return nil, &Error{Status: statusBadRequest, Code: CodeInvalid, Detail: "documents are put to a resource, and this is the path of a collection"}
	}
	id := segs[len(segs)-1]
	if got, ok := doc["resourceId"].(string); ok && !strings.EqualFold(got, id) {
		return nil, invalid("resourceId", fmt.Sprintf("%q", got), fmt.Sprintf("%q, the end of the path", id))
	}
	c := s.clone()
	doc["resourceId"] = id
	if p, ok := doc["properties"].(map[string]any); ok {
		p["provisioningState"] = "Succeeded"
	} else if doc["properties"] == nil {
		doc["properties"] = map[string]any{"provisioningState": "Succeeded"}
	}
	doc["etag"] = fmt.Sprintf(`W/"%d"`, c.turn)
	doc["resourceRef"] = "/" + strings.Join(segs, "/")
	doc["instanceId"] = instanceID(canonical(segs))
	if len(segs) == 2 {
		key := canonical(segs)
		if c.docs[key] == nil {
			if len(c.order) >= maxResources {
				return nil, conflict("", "the controller keeps %d resources at most", maxResources)
			}
			c.order = append(c.order, key)
			c.names[key] = "/" + strings.Join(segs, "/")
		}
		c.docs[key] = doc
		return c, nil
	}
	return c, c.edit(segs, func(list []any, at int) []any {
		if at < 0 {
			return append(slices.Clone(list), doc)
		}
		list = slices.Clone(list)
		list[at] = doc
		return list
	})
}

// remove takes a resource out of a copy of the store.
func (s *store) remove(segs []string) (*store, *Error) {
	c := s.clone()
	if len(segs) == 2 {
		key := canonical(segs)
		if c.docs[key] == nil {
			return nil, notFound()
		}
		delete(c.docs, key)
		c.order = slices.DeleteFunc(c.order, func(k string) bool { return k == key })
		return c, nil
	}
	found := false
	err := c.edit(segs, func(list []any, at int) []any {
		if found = at >= 0; !found {
			return list
		}
		return slices.Delete(slices.Clone(list), at, at+1)
	})
	if err == nil && !found {
		err = notFound()
	}
	return c, err
}

func notFound() *Error {
	return &Error{Status: statusNotFound, Code: CodeNotFound, Detail: "there is no such resource"}
}

// edit changes the list that an element with a path of its own is in. Documents
// on the way are replaced by copies: other versions of the store share them.
func (s *store) edit(segs []string, change func(list []any, at int) []any) *Error {
	key := canonical(segs[:2])
	top := s.docs[key]
	if top == nil {
		e := notFound()
		e.Detail = "there is no /" + strings.Join(segs[:2], "/")
		return e
	}
	doc, err := editIn(top, segs[2:], change)
	if err != nil {
		return err
	}
	s.docs[key] = doc
	return nil
}

func editIn(doc map[string]any, segs []string, change func([]any, int) []any) (map[string]any, *Error) {
	out := cloneMap(doc)
	props, _ := out["properties"].(map[string]any)
	props = cloneMap(props)
	out["properties"] = props
	name := memberName(props, segs[0])
	list, _ := props[name].([]any)
	at := slices.IndexFunc(list, func(x any) bool { return strings.EqualFold(idOf(x), segs[1]) })
	if len(segs) == 2 {
		props[name] = change(list, at)
		return out, nil
	}
	if at < 0 {
		e := notFound()
		e.Detail = fmt.Sprintf("there is no %s %s in it", segs[0], segs[1])
		return nil, e
	}
	child, err := editIn(list[at].(map[string]any), segs[2:], change)
	if err != nil {
		return nil, err
	}
	list = slices.Clone(list)
	list[at] = child
	props[name] = list
	return out, nil
}

func cloneMap(m map[string]any) map[string]any {
	out := make(map[string]any, len(m)+1)
	for k, v := range m {
		out[k] = v
	}
	return out
}

// memberName is the spelling that the object has for a member, or name.
func memberName(m map[string]any, name string) string {
	v := value{v: m, ok: true, r: &reading{}}.get(name)
	return v.path
}

func idOf(x any) string {
	m, _ := x.(map[string]any)
	id, _ := m[memberName(m, "resourceId")].(string)
	return id
}

// find returns what a path names: a document, or the list of a collection.
func (s *store) find(segs []string) (any, bool) {
	if len(segs) == 1 {
		list := []any{}
		for _, k := range s.order {
			if strings.HasPrefix(k, "/"+segs[0]+"/") {
				list = append(list, s.docs[k])
			}
		}
		return map[string]any{"value": list}, true
	}
	doc := s.docs[canonical(segs[:2])]
	for segs = segs[2:]; doc != nil && len(segs) > 0; {
		props, _ := doc["properties"].(map[string]any)
		list, _ := props[memberName(props, segs[0])].([]any)
		if len(segs) == 1 {
			return map[string]any{"value": append([]any{}, list...)}, true
		}
		at := slices.IndexFunc(list, func(x any) bool { return strings.EqualFold(idOf(x), segs[1]) })
		if at < 0 {
			return nil, false
		}
		doc, segs = list[at].(map[string]any), segs[2:]
	}
	return doc, doc != nil
}

// instanceID is a GUID that depends on nothing but the resource's path.
func instanceID(path string) string {
	h := sha256.Sum256([]byte(path))
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// located adds line and column of an error's place in the document that was
// sent. prefix is the place of that document in its resource's.
func located(e *Error, body []byte, prefix string) *Error {
	rest := e.Path
	if prefix != "" {
		var ok bool
		if rest, ok = strings.CutPrefix(e.Path, prefix+"."); !ok {
			return e
		}
	}
	if line, col, ok := hcn.Locate(body, rest); ok && rest != "" {
		e.Line, e.Column = line, col
	}
	return e
}
