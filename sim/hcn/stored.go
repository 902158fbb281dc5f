package hcn

import "reflect"

// storedDepth is how deep a document may be nested that this package has
// written. Upgrading a v1 document moves members some levels down (a subnet's
// policy goes from Subnets[0].Policies[0] to
// Ipams[0].Subnets[0].Policies[0].Settings), so that what was just accepted
// comes out deeper than what is accepted from outside.
const storedDepth = maxDepth + 8

// DecodeStored reads back what Encode(V2) has written. Unlike the other Decode
// functions it does not guess the shape: a network that keeps members of a v1
// creator among its Extras still is in the v2 shape. V1Type is not part of the
// text and stays empty.
func DecodeStored[T Network | Endpoint | Namespace | LoadBalancer | SDNRoute](data []byte) (*T, error) {
	n, err := parseTo(data, storedDepth)
	if err != nil {
		return nil, err
	}
	d := &decoder{src: data, code: ErrInvalidJSON}
	if n.kind != objectKind {
		return nil, d.fail(n, "", "an object")
	}
	out := new(T)
	if err := d.decode(n, reflect.ValueOf(out).Elem(), ""); err != nil {
		return nil, err
	}
	if r, ok := any(out).(*SDNRoute); ok {
		r.Setting = nil // written beside Routes for clients of the other spelling
	}
	return out, nil
}
