// Package wine runs Windows programs under wine with the stand-in's DLLs.
//
// A prefix is prepared once for each version of wine and then only lent out:
// a run has drive C in common with all others, but its own registry, its own
// wineserver and its own network (see Run.Start), and leaves none of them
// behind. It makes no difference how a run ends: a watcher, which outlives
// even a kill -9 of this process, ends what is left.
//
// The package knows wine's folders and registry and how to build the DLLs. It
// knows nothing of what the programs are or say.
package wine
