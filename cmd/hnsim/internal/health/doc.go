// Package health finds out whether this machine and this program can do what
// the user will ask for, and says for everything that is missing how to get
// it. Checks look; they change nothing.
package health
