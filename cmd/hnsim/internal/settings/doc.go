// Package settings fills the flags of a command from the environment and from
// a configuration file, and remembers where each value came from. Precedence:
// flag, environment (HNSIM_NAME), file, default.
//
// It knows flags by name and type; what they mean is their command's business.
package settings
