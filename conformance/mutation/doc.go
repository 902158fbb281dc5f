// Command mutation breaks the model on purpose, one small change of source at
// a time, and runs the scenarios against each broken build: a change that no
// scenario notices is a hole in the suite and fails the run.
//
// A mutation is an exact replacement in one file. Nearly all change only what
// functions do; they share one build, in which every such function has its
// changed copies beside it and HNSIM_MUTANT names the mutation whose copies are
// called. The program that users get has none of that. A mutation that changes
// more, a constant for example, has a build of its own. Sources are given to the
// compiler as an overlay, so the checkout is never touched. It knows the model's
// source only as text; it imports nothing of it.
//
//	go run ./conformance/mutation            all mutations
//	go run ./conformance/mutation -run nat   those whose name contains "nat"
//	go run ./conformance/mutation -list      names and what they break
//	go run ./conformance/mutation -single    a build for each, to compare with what the shared one shows
//	go run ./conformance/mutation -run nat 'nat/**'   and only these scenarios must notice
//	go run ./conformance/mutation -diff -sample 20   notice by "hnsim diff" alone: no expectation of a
//	                                                 scenario is used, 20 mutations of all areas
//	go run ./conformance/mutation -diff -sample 20 -with linux   compared with the Linux kernel (as root)
//	go run ./conformance/mutation -fuzz      errors of the flow table alone, which random worlds must find
package main
