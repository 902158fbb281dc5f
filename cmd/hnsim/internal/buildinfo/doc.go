// Package buildinfo knows which version of the program this is and which
// commit it was built from.
package buildinfo
