// Package hostnet gives Windows programs under wine the network interfaces of
// their simulated host. Wine shows a program those of the Linux machine, so a
// namespace of its own gets veth pairs with the names, MACs and addresses of
// the host's own compartment, and follows when they change.
//
// Nobody is at the other end of the pairs: packets of the program go nowhere.
// Only loopback works, and what is forwarded on it.
//
// Linux has no blanks in names and no more than 15 letters: Names says what an
// interface is called on either side, and the stand-in's DLLs tell programs.
//
// The namespaces belong to threads of this process. They have no name, so the
// kernel takes them away when the process ends, however it does.
//
// The package knows Linux. It knows nothing of HNS or of wine.
package hostnet
