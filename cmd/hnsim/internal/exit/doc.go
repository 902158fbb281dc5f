// Package exit knows the exit codes of the program and which result has which.
// It sees reports and errors; printing them is the business of the verbs.
package exit
