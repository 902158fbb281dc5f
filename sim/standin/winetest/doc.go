// Package winetest holds the tests of the stand-in that need wine: programs in
// testdata, built for Windows, call the DLLs of the folder shim, which call a
// server of package standin. It has no code of its own.
//
// The programs check what a caller of the DLLs sees (contract section A):
// registers, out parameters, allocations, callbacks. What the calls do is
// tested in package standin without wine.
package winetest
