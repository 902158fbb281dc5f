package script

import "slices"

// Document is a JSON document that a line of a scenario sends and expects HNS
// to take. Variables that only a run knows have stand-ins of the right form.
type Document struct {
	File string // in the archive
	Line int    // of the file's first line, in the scenario
	// Kind is "network", "endpoint", "namespace", "loadbalancer" or "modify";
	// empty when the line does not say.
	Kind string
	Data []byte
	// Made is set when Data is a request that was made from the file: lines of
	// Data are not lines of the file.
	Made bool
}

// Documents are the documents of all lines that do not expect a refusal, each
// once, in the order of the script.
func (s *Scenario) Documents() []Document {
	if s.program == nil {
		return nil
	}
	return slices.Clone(s.program.documents)
}

// sends notes a document that the line sends.
func (s *scope) sends(d Document) {
	if !s.static || s.line == nil || s.line.negate {
		return
	}
	same := func(o Document) bool { return o.File == d.File && o.Kind == d.Kind && string(o.Data) == string(d.Data) }
	if !slices.ContainsFunc(s.documents, same) {
		s.documents = append(s.documents, d)
	}
}
