// Package benchmark turns the words of the bench verb's flags into values:
// numbers with a unit letter, lists with a word for everything, and the file
// that a run is compared with.
package benchmark
