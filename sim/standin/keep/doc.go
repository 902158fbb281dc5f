// Package keep ties a world to a state file: what HNS keeps over a restart of
// its service (contract section G.5) is there again when the world is made
// anew, with the data plane programmed. It knows worlds and state files, and
// nothing of who changes them.
package keep
