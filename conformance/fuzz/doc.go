// Package fuzz looks for errors that nobody thought of: it makes worlds with
// random topology, policies and traffic, runs each with the flow tables on and
// off, and has every invariant of the backend checked. A world that fails is
// cut down to a scenario file that fails in the same way.
//
//	case.go      a world as steps: the lines of a scenario with their files
//	world.go     topology, networks, endpoints, services: what there is
//	documents.go the HCN documents of those
//	traffic.go   what the world's roles send
//	change.go    what changes while they do
//	judge.go     one case against a backend: what is wrong, if anything
//	minimise.go  delta debugging over steps
//	run.go       the campaign: seeds, workers, findings in the order of seeds
//
// It knows the words of scenarios and the shapes of documents, and nothing of
// the model: it sees a backend, as the suite does. Equal seeds make equal
// worlds in every process.
package fuzz
