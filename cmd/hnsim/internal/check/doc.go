// Package check finds what is wrong with files before anything runs: scenario
// files, HCN and HNS documents, expectation files. It knows their formats and
// the build profiles, and no backend.
package check
