// Package hns is the control plane of one Windows host: the Host Networking
// Service. It owns the objects (networks, endpoints, namespaces, load
// balancers, SDN routes), fills in what the service fills in, enforces what
// one document alone cannot show (names in use, addresses taken, references),
// and carries out the HCN functions and the v1 HNSCall on one store.
//
// The store is a State: an immutable snapshot. An operation builds the next
// State from the current one, hands it to the Apply hook of the host, which
// programs the data plane, and only then makes it current. A failure at any
// point, Apply included, leaves the current State as it was: that is how a
// failed create leaves nothing behind and a failed modify changes nothing.
//
// The files named compile*.go turn a State into programs for the data plane;
// only they know both documents and packets. The others know documents and
// nothing of frames, ports of a switch or time: the clock, the random seed
// and the host's sockets come in through Config.
//
// The tests named contract_*.go go through the tables of the control-plane
// contract: every function, path, request, code and document member, each case
// with the rule that it is about.
//
// A Service serialises its calls; it may be used from several goroutines. A
// State and everything in it may be read from any goroutine and is never
// written after Apply has seen it.
package hns
