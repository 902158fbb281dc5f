// Package reference writes the command line reference from the commands
// themselves, so that the documentation of a flag cannot be wrong or missing.
// It knows commands and flags, not what they do.
package reference
