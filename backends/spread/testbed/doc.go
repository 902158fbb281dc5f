// Package testbed reads test bed files: which roles of scenarios are where,
// what they need, and how the coordinator and its agents meet.
//
// It knows the file and the names of the contract of backends. It must know
// neither transports nor worlds.
package testbed
