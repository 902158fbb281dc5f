// Package rounds says how often tests repeat themselves. Property tests play
// many random games, one goroutine each, to find what a game in a thousand shows.
// The race detector makes them ten times as slow and learns nothing from game
// after game that the first ones did not do; it sees all tests, with fewer rounds.
//
// Only the number of rounds may depend on this package, never whether a test
// runs. It is for tests alone and knows nothing of what they test.
package rounds
