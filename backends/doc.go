// Package backends is the contract that every backend meets: how a world of
// roles is declared, driven and observed, whatever it is made of — the software
// model, a real HNS, a Linux kernel, a recording.
//
// A backend says by name what it can do beyond the minimum (Capability); a
// scenario that needs more is skipped with that name as the reason. Package
// backendtest checks a backend against the contract.
//
// It knows documents as data and frames as bytes. It knows no backend, no
// scenario and no test framework.
package backends
