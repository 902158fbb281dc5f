// Package wine starts Windows programs under wine in a prefix of our own. It
// knows wine's folders and its registry, and nothing of what the programs are.
package wine
