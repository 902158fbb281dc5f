// Package remote carries the worlds of a backend over a connection: Serve
// answers for a backend, Dial makes a backend of the answers. Worlds behind a
// connection behave as the served ones do, errors and observations included.
//
// # Protocol
//
// Both directions are streams of gob values. The client begins with a hello,
// which has the protocol's version and a token; then requests and responses
// alternate, one at a time. A request names a world by the number that Open
// gave it. Every response has what the world has observed since the last one
// and its clock, so that asking for them costs no exchange.
//
// Closing the connection closes the worlds that are still open.
//
// The package knows the contract of backends. It must not know any backend.
package remote
