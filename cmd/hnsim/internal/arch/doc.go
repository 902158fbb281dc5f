// Package arch holds the walls of the project as tests: which package may
// import which, with the reason beside each forbidden edge, what the packet
// path must not do, and how large files may grow.
//
// It has no code outside its tests. It knows the source tree and nothing that
// is in it.
package arch
