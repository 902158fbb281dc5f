// Package scenarios holds the conformance suite as data: one txtar file per
// scenario, in a folder per area, embedded in the binary. It lists and selects
// them; package script runs them. It must not know any backend or the model.
package scenarios
