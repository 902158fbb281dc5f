package hns

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hnsim/hnsim/backends"
)

// rehearse prints an operation and answers as if it had succeeded: a created
// object has the document that was asked for, with an id that does not exist.
func (g *guard) rehearse(op backends.HCNOp) (backends.HCNResult, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	line := "dry run: " + op.Verb + " " + op.Kind
	if op.Kind == "hnscall" {
		line = "dry run: " + op.Verb + " " + op.Path
	}
	for _, w := range []string{op.ID, op.Parent} {
		if w != "" {
			line += " " + w
		}
	}
	var body bytes.Buffer
	if json.Compact(&body, op.Body) == nil && body.Len() > 0 {
		line += " " + body.String()
	}
	if _, err := fmt.Fprintln(g.opt.DryRun, line); err != nil {
		return backends.HCNResult{}, fmt.Errorf("--dry-run: %w", err)
	}
	res := backends.HCNResult{ID: op.ID, Document: op.Body}
	switch {
	case op.Verb == "enumerate":
		res.Document = json.RawMessage("[]")
	case op.Verb == "create" || strings.EqualFold(op.Verb, "POST"):
		res.ID = fmt.Sprintf("00000000-0000-0000-0000-%012d", len(g.made)+1)
		if at := bytes.IndexByte(op.Body, '{'); at >= 0 {
			res.Document = splice(op.Body, at+1, at+1, fmt.Sprintf(`"ID":%q,`, res.ID))
		}
	case len(op.Body) == 0:
		res.Document = json.RawMessage("{}")
	}
	return res, nil
}
