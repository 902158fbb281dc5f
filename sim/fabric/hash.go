package fabric

import (
	"encoding/binary"
	"math/bits"
)

// eventHash is a rolling hash over everything that happens in a loop. It must
// be the same in every process and on every machine, which rules out
// hash/maphash, and cost little beside the work that it watches, which rules
// out SHA-256. It takes eight bytes for one multiplication; nobody attacks it.
type eventHash struct{ h uint64 }

// Odd numbers with about half their bits set.
const (
	hashStart = 0x9ae16a3b2f90404f
	hashMul   = 0xc3a5c85c97cb3127
	timerMark = 0xb492b66fbe98f273
)

func (e *eventHash) add(v uint64) {
	hi, lo := bits.Mul64(v^bits.RotateLeft64(e.h, 23)^hashStart, hashMul)
	e.h = e.h*hashMul ^ hi ^ lo
}

// addBytes takes the length too, so that neighbouring values cannot trade bytes.
func (e *eventHash) addBytes(b []byte) {
	e.add(uint64(len(b)))
	for len(b) >= 8 {
		e.add(binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	if len(b) > 0 {
		var rest [8]byte
		copy(rest[:], b)
		e.add(binary.LittleEndian.Uint64(rest[:]))
	}
}

func (e *eventHash) addString(s string) {
	v := uint64(len(s))
	for i := range len(s) {
		v = v*31 + uint64(s[i])
	}
	e.add(v)
}

func (e *eventHash) sum() uint64 {
	f := *e
	f.add(timerMark)
	return f.h
}
