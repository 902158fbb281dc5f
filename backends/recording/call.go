package recording

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/codec"
)

// Call is a request to a world in a form that can be compared: the name of the
// contract's method and its arguments as canonical JSON. Two requests are the
// same if their Calls are equal.
type Call struct{ Name, Args string }

// The calls that change something.

func AddNode(n backends.Node) Call { return call("AddNode", n) }
func SetLink(l backends.Link) Call { return call("SetLink", l) }
func HCN(op backends.HCNOp) Call {
	return call("HCN", codec.HCNArgs{HCNOp: op, Body: codec.Text(op.Body)})
}
func AddContainer(c backends.Container) Call { return call("AddContainer", c) }
func Do(s backends.Stimulus) Call {
	return call("Do", codec.StimulusOf(s))
}
func Advance(d time.Duration) Call { return call("Advance", d) }
func Set(s backends.Setting) Call  { return call("Set", s) }
func Close() Call                  { return call("Close", nil) }

// Questions: they change nothing.

func Trace(id uint64) Call  { return call("Trace", id) }
func Dump(what string) Call { return call("Dump", what) }
func EventHash() Call       { return call("EventHash", nil) }
func Invariants() Call      { return call("Invariants", nil) }
func Measurements() Call    { return call("Measurements", nil) }

// Asks reports whether the call is a question, which may be asked at any time.
func (c Call) Asks() bool {
	switch c.Name {
	case "Trace", "Dump", "EventHash", "Invariants", "Measurements":
		return true
	}
	return false
}

// String is the call in one line of bounded length, for messages.
func (c Call) String() string {
	const limit = 160
	if len(c.Args) > limit {
		return c.Name + " " + c.Args[:limit] + "..."
	}
	return c.Name + " " + c.Args
}

func call(name string, args any) Call {
	if args == nil {
		return Call{Name: name}
	}
	text, err := canonical(args)
	if err != nil { // a number that JSON does not have
		return Call{name, fmt.Sprintf("%q", fmt.Sprint(args))}
	}
	return Call{name, string(text)}
}

// canonical writes arguments so that equal ones are equal bytes: members in
// order, without those that have the zero value. A field that the contract gets
// later does not change the arguments of those who leave it alone.
func canonical(v any) (json.RawMessage, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, err
	}
	return json.Marshal(prune(tree))
}

// prune removes zero values; what is nothing but zero is nil.
func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if member = prune(member); member == nil {
				delete(v, name)
			} else {
				v[name] = member
			}
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		if len(v) == 0 {
			return nil
		}
		for i := range v { // elements stay: their place counts
			if _, ok := v[i].(map[string]any); ok {
				v[i] = prune(v[i])
			}
		}
	case string:
		if v == "" {
			return nil
		}
	case bool:
		if !v {
			return nil
		}
	case json.Number:
		if v == "0" {
			return nil
		}
	}
	return v
}
