package vfp

import (
	"syscall"
	"unsafe"
)

// hugeAt is the size from which memory of tables is worth large pages.
const hugeAt = 1 << 19

// adviseHuge asks for large pages under n bytes that are new: entries of a
// large table lie anywhere in it, and finding where a small page is costs more
// than reading an entry, in a virtual machine several times over. What shares the
// first and the last large page with them is included, as the runtime hands out
// smaller pieces. It is a wish; nothing depends on it, and memory that is not
// there yet is no failure.
func adviseHuge(p unsafe.Pointer, n uintptr) {
	const page, madvHuge = 2 << 20, 14
	if n < hugeAt {
		return
	}
	from := uintptr(p) &^ (page - 1)
	to := (uintptr(p) + n + page - 1) &^ (page - 1)
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, from, to-from, madvHuge)
}
