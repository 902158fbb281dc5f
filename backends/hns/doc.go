// Package hns is the backend of the real thing: scenarios run on the HNS of
// this Windows machine, through hcsshim. On other systems every world is
// refused with "needs Windows".
//
// The control plane is hcsshim's: documents of scenarios go unchanged through
// its call layer (call_windows.go), so that members which its types do not know
// reach HNS too. Containers are HCN namespaces with an attached endpoint, and a
// process per container that has entered the namespace's compartment (probe.go)
// sends and receives. pktmon shows the wire.
//
// A DLL that says of itself that it is the stand-in of HNS (package
// sim/standin, under wine) is used differently: the control plane is the same,
// and everything behind it is asked of the stand-in's probe service.
//
// Everything that is made carries the tag of its run (tag.go). What this
// backend did not make, it does not change.
//
// The package knows hcsshim, Windows and the contract of backends. It must not
// know the model: the two are compared.
package hns
