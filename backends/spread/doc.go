// Package spread is a backend that spreads a world over several machines: the
// coordinator has the World that the suite uses, every machine's agent a part
// of it that its local backend carries out. Requests go to the agent that has
// the role; observations come back with the time of the coordinator's clock and
// are merged so that no frame arrives before it was sent.
//
// It knows the contract of backends, test bed files and how to reach agents. It
// must know neither scenarios nor what a local backend is made of.
package spread
