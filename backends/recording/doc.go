// Package recording keeps what a backend was asked and what it answered: every
// call of every world with its arguments and its result, and everything that
// was observed. Wrap puts a recorder around any backend, Writer makes the file,
// Read takes it in again; package replay answers from it.
//
// A recording is one file: gzip around NDJSON, described in README.md. It is
// written as the run goes and can be read up to the point where a crash tore it.
//
// The package knows the contract of backends and documents as text. It must not
// know any backend, scenarios, or who compares what.
package recording
