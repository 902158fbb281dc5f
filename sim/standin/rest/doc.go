// Package rest serves the hosts of a stand-in over HTTP, with the documents of
// HNS: for people and programs that do not come through the DLLs. It also
// shows what the DLLs have no function for: the walk of a packet, the virtual
// clock, the whole state, metrics.
//
// It knows HTTP, and turns requests into calls of standin.Server and sim.World.
// It knows nothing of what is in a document. The reference, with examples, is
// the README of the folder above.
package rest
