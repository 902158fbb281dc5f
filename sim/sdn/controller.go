package sdn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Controller keeps the documents and hands what they amount to to Apply. It is
// used from one goroutine.
type Controller struct {
	// Apply is told of every new model before the change is accepted; its error
	// refuses the change. It must not call the controller.
	Apply func(*Model) error

	store *store
	model *Model
}

// New makes a controller without resources.
func New(apply func(*Model) error) *Controller {
	return &Controller{Apply: apply, store: newStore(), model: &Model{}}
}

// Model is what the documents amount to.
func (c *Controller) Model() *Model { return c.model }

// SameNetwork reports whether two VSIDs belong to one virtual network.
func (c *Controller) SameNetwork(a, b uint32) bool {
	for _, n := range c.model.Networks {
		found := 0
		for _, s := range n.Subnets {
			if s.VSID == a || s.VSID == b {
				found++
			}
		}
		if found == 2 {
			return true
		}
	}
	return false
}

// Put creates or replaces a resource, or an element of one that has a path of
// its own, and returns the document as it is kept.
func (c *Controller) Put(path string, body []byte) ([]byte, error) {
	segs, err := c.resource(path)
	if err != nil {
		return nil, err
	}
	doc, err := parseDocument(body)
	if err == nil {
		var next *store
		if next, err = c.store.put(segs, doc); err == nil {
			err = c.adopt(next, "/"+strings.Join(segs, "/"), "")
		}
	}
	if err != nil {
		return nil, located(named(err, segs), body, c.placeOf(segs))
	}
	return c.Get(path)
}

// Delete removes a resource that nobody refers to.
func (c *Controller) Delete(path string) error {
	segs, err := c.resource(path)
	if err != nil {
		return err
	}
	next, err := c.store.remove(segs)
	if err == nil {
		err = c.adopt(next, "", canonical(segs))
	}
	if err != nil {
		return named(err, segs)
	}
	return nil
}

// Get is a resource's document, or {"value": [...]} for a collection.
func (c *Controller) Get(path string) ([]byte, error) {
	segs, ok := split(path)
	if !ok {
		return nil, badPath(path)
	}
	v, ok := c.store.find(segs)
	if !ok {
		return nil, named(notFound(), segs)
	}
	return json.Marshal(v)
}

// Load puts many resources: the members of an object are paths with their
// documents, put in the order in which they are written. It stops at the first
// that is refused.
func (c *Controller) Load(body []byte) error {
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return &Error{Status: statusBadRequest, Code: CodeInvalid, Resource: "load", Expected: "an object whose members are paths", Found: "something else"}
	}
	for d.More() {
		t, err := d.Token()
		path, ok := t.(string)
		var doc json.RawMessage
		if err == nil && ok {
			err = d.Decode(&doc)
		}
		if err != nil {
			return &Error{Status: statusBadRequest, Code: CodeInvalid, Resource: "load", Detail: err.Error()}
		}
		at := bytes.Count(body[:d.InputOffset()], []byte("\n")) - bytes.Count(doc, []byte("\n"))
		if _, err := c.Put(path, doc); err != nil {
			var e *Error
			if errors.As(err, &e) && e.Line > 0 {
				e.Line += at
			}
			return err
		}
	}
	return nil
}

// adopt makes the documents the present ones if they fit together. put is the
// resource that changed, gone the one that went.
func (c *Controller) adopt(next *store, put, gone string) *Error {
	m, err := buildModel(next)
	if err != nil {
		if gone != "" && strings.HasPrefix(err.missing+"/", gone+"/") {
			return &Error{Status: statusConflict, Code: CodeInUse, Detail: fmt.Sprintf("%s refers to it at %s", err.Resource, err.Path)}
		}
		if err.Resource != "" && put != "" && !strings.HasPrefix(put+"/", err.Resource+"/") {
			// What was put breaks another resource.
			return conflict("", "%s would no longer hold: %v", err.Resource, err.Error)
		}
		return &err.Error
	}
	if c.Apply != nil {
		if err := c.Apply(m); err != nil {
			_ = c.Apply(c.model) // what has been changed so far is undone
			var e *Error
			if errors.As(err, &e) {
				return e
			}
			return conflict("", "%v", err)
		}
	}
	c.store, c.model = next, m
	return nil
}

// resource takes the path of a resource apart.
func (c *Controller) resource(path string) ([]string, *Error) {
	segs, ok := split(path)
	if !ok || len(segs)%2 != 0 {
		return nil, badPath(path)
	}
	return segs, nil
}

func badPath(path string) *Error {
	return &Error{Status: statusNotFound, Code: CodeNotFound, Resource: path,
		Detail: "no resource has such a path", Expected: "/networking/v1/COLLECTION/NAME with one of " + strings.Join(CollectionNames(), ", ")}
}

// named says which resource an error is about, unless it does.
func named(e *Error, segs []string) *Error {
	if e.Resource == "" {
		e.Resource = "/" + strings.Join(segs, "/")
	}
	return e
}

// placeOf is where the element of a resource's document is that a path names.
func (c *Controller) placeOf(segs []string) string {
	if len(segs) <= 2 {
		return ""
	}
	place := ""
	for i := 2; i < len(segs); i += 2 {
		at := 0
		if v, ok := c.store.find(segs[:i+1]); ok {
			list := v.(map[string]any)["value"].([]any)
			for at < len(list) && !strings.EqualFold(idOf(list[at]), segs[i+1]) {
				at++
			}
		}
		place = join(place, fmt.Sprintf("properties.%s[%d]", segs[i], at))
	}
	return place
}
