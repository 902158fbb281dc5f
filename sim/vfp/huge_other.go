//go:build !linux

package vfp

import "unsafe"

// adviseHuge does nothing where nobody can be asked.
func adviseHuge(unsafe.Pointer, uintptr) {}
