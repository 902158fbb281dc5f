// Package script runs scenarios: txtar files whose script sets up a topology
// through a backend, sends packets, and says what must be seen where. The
// words of the language are described in ../README.md, which is generated from
// the word table of this package.
//
// A scenario is parsed completely before it runs: header, every line, every
// document. What can be wrong without a backend (unknown words, roles, files,
// fields, rules) is reported by Parse with file and line. Run then executes the
// script on rsc.io/script against one world of the backend.
//
// The package knows the backend contract, documents as data and bytes. It must
// not know any backend, the test framework or how results are presented.
package script
