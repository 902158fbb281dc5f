// Package backendtest checks that a backend keeps the contract of package
// backends: what every world must do, and what the capabilities that the
// backend lists promise. A backend's own tests call Run.
//
// It knows the contract and the testing package; it knows no backend.
package backendtest
