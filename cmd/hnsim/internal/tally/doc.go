// Package tally sums up what a program did to HNS: its calls, the handles that
// it left open, and what changed in the store. It knows calls and documents,
// and nothing of how the program ran.
package tally
