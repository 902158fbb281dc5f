// Package exit knows the exit codes of the program and which result has which.
package exit
