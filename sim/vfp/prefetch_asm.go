//go:build amd64 || arm64

package vfp

// prefetch asks the CPU to bring the first n lines near. It reads none of
// them, so that it is safe for any address.
//
//go:noescape
func prefetch(at *[maxLines]uintptr, n int)
