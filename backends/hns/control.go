package hns

import (
	"encoding/json"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

// control is an HNS. Errors of HNS are *hcn.Error, others are trouble with
// reaching it. It may be used concurrently.
type control interface {
	// do carries out an operation of the v2 interface, or a v1 call where the
	// kind is "hnscall".
	do(op backends.HCNOp) (backends.HCNResult, error)
	// version is that of the service.
	version() (hcn.HNSVersion, error)
}

// defaultQuery is what hcsshim asks with.
const defaultQuery = `{"SchemaVersion":{"Major":2,"Minor":0},"Flags":0}`

// queryText is the query of an operation.
func queryText(body json.RawMessage) string {
	if len(body) == 0 {
		return defaultQuery
	}
	return string(body)
}

func noVerb(op backends.HCNOp) error {
	return hcn.Errorf(hcn.ErrInvalidParameter, "no operation %q: expected create, open, modify, query, delete or enumerate", op.Verb)
}
