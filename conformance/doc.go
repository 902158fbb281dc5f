// Package conformance runs the suite: it selects scenarios, runs each against
// a fresh world of a backend, applies what is known to deviate, and reports.
//
// There is one core, Runner, and three ways to use it, which give the same
// results: `hnsim run` calls Runner.Run, which runs scenarios in parallel and
// reports them in a fixed order; `go test ./conformance` and any other Ginkgo
// suite call Register, which makes one spec of each scenario and lets Ginkgo
// decide order and display.
//
// The package sees a backend through the contract in package backends. It must
// not know any backend, nor the model: that is what lets one suite serve the
// model, a real HNS and a Linux kernel alike. Only this package knows the test
// framework; results leave it as values of package reports.
package conformance
