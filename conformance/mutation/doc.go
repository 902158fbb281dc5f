// Command mutation breaks the model on purpose, one small change of source at
// a time, and runs the scenarios against each broken build: a change that no
// scenario notices is a hole in the suite and fails the run.
//
// A mutation is an exact replacement in one file. The broken file is given to
// the compiler as an overlay, so the checkout is never touched. It knows the
// model's source only as text; it imports nothing of it.
//
//	go run ./conformance/mutation            all mutations
//	go run ./conformance/mutation -run nat   those whose name contains "nat"
//	go run ./conformance/mutation -list      names and what they break
//	go run ./conformance/mutation -run nat 'nat/**'   and only these scenarios must notice
//	go run ./conformance/mutation -diff -sample 20   notice by "hnsim diff" alone: no expectation of a
//	                                                 scenario is used, 20 mutations of all areas
//	go run ./conformance/mutation -diff -sample 20 -with linux   compared with the Linux kernel (as root)
//	go run ./conformance/mutation -fuzz      errors of the flow table alone, which random worlds must find
package main
