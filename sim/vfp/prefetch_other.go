//go:build !amd64 && !arm64

package vfp

// prefetch does nothing where there is no instruction for it: what is slower
// then is the only difference.
func prefetch(*[maxLines]uintptr, int) {}
