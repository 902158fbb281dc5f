package backends

import (
	"context"
	"encoding/json"
)

// NetworkController is a world with physical hosts whose tenant networks a
// network controller runs; worlds with capability SDN are. Nodes of kind
// PhysicalNode and MuxNode exist there, and Node.On.
type NetworkController interface {
	// SDN carries out one request of the controller's REST interface. What the
	// controller refuses is a *RefusedError.
	SDN(ctx context.Context, op SDNOp) (json.RawMessage, error)
}

// ControllerOf is the network controller of a world. A world that wraps another
// one, to watch it, says which by a method Unwrap.
func ControllerOf(w World) (NetworkController, bool) {
	for w != nil {
		if c, ok := w.(NetworkController); ok {
			return c, true
		}
		u, ok := w.(interface{ Unwrap() World })
		if !ok {
			break
		}
		w = u.Unwrap()
	}
	return nil, false
}

// SDNOp is a request to the network controller.
type SDNOp struct {
	// Verb is "put", "get" or "delete"; "load" puts the members of an object
	// whose names are paths, in order.
	Verb string
	Path string // "/networking/v1/virtualNetworks/vnet1"; unused by load
	Body json.RawMessage
}

// RefusedError is a refusal of a service that has no HCN codes.
type RefusedError struct {
	Code string // "409 ResourceInUse"
	Msg  string // all of it, the code first
}

func (e *RefusedError) Error() string { return e.Msg }
