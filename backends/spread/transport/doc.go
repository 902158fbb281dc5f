// Package transport carries requests from a coordinator to agents on other
// machines and their answers back: an embedded NATS server at the coordinator,
// to which agents connect outbound over mutual TLS. Agents get their client
// certificates by presenting a join token.
//
// A run is one session of a coordinator. Its id is in every subject and every
// message; what belongs to another run is dropped and counted. Every agent
// works on one request at a time: a request is sent again until it is answered,
// and carried out once, so that nothing is lost when a connection breaks.
// Queues have bounds. An agent that shows no sign of life for longer than the
// coordinator's patience is lost for the run.
//
// The package knows bytes. It must know neither worlds nor scenarios.
package transport
