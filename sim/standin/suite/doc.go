// Command suite runs the test suites that others wrote for real Windows hosts,
// unmodified, under wine against the stand-in: each case in a process and a
// store of its own, then all cases in one process against one store.
//
//	go run ./sim/standin/suite hcsshim                one suite
//	go run ./sim/standin/suite -run LoadBal hnslib    some of its cases
//	go run ./sim/standin/suite -list                  the suites
//
// It knows the modules the suites come from, how Go and Ginkgo present their
// results, and the command line of hnsim; it imports nothing of the model. It
// runs in the root of the repository. What every case said and called stays in
// hnsim-out/suites/NAME/NUMBER; the run of all is in hnsim-out/suites/NAME/together. The
// exit code is 0 when every case passed both ways, 1 when one did not, 2 for
// wrong usage and 3 when something that is needed to run them is missing.
package main
