// Command hnsim runs the conformance suite of Windows container networking
// against the software model and other backends, and explains what it finds.
//
// One file per verb: it parses flags, calls a package, prints. Anything that
// deserves a unit test lives in packages conformance and reports, or in the
// small packages below internal. README.md is generated from the commands.
package main
