// Package state is what a host's HNS holds, as documents: it reads what
// `hnsim collect` has put into a zip and what PowerShell's Get-Hns* prints as
// JSON, makes addresses anonymous, and turns the whole into a scenario.
//
// It knows documents and the words of scenarios. It must know neither Windows
// nor the model: whoever collects hands documents in.
package state
