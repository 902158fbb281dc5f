package ring

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"
)

// mkBlock is a block as the kernel fills it.
func mkBlock(frames ...string) []byte {
	const header = 48 // of a frame
	b := make([]byte, 64)
	binary.NativeEndian.PutUint32(b[blockCount:], uint32(len(frames)))
	binary.NativeEndian.PutUint32(b[blockFirst:], 64)
	for i, f := range frames {
		h := make([]byte, (header+len(f)+15)/16*16)
		if i < len(frames)-1 {
			binary.NativeEndian.PutUint32(h, uint32(len(h)))
		}
		binary.NativeEndian.PutUint32(h[4:], 3)               // seconds
		binary.NativeEndian.PutUint32(h[8:], uint32(i))       // nanoseconds
		binary.NativeEndian.PutUint32(h[12:], uint32(len(f))) // captured
		binary.NativeEndian.PutUint16(h[24:], header)
		copy(h[header:], f)
		b = append(b, h...)
	}
	return b
}

func TestTheFramesOfABlockComeInOrder(t *testing.T) {
	var got []string
	var times []time.Duration
	walk(mkBlock("one", "two and more", ""), func(frame []byte, at time.Duration) {
		got, times = append(got, string(frame)), append(times, at)
	})
	if !slices.Equal(got, []string{"one", "two and more", ""}) || times[1] != 3*time.Second+1 {
		t.Errorf("%q at %v", got, times)
	}
	walk(mkBlock(), func([]byte, time.Duration) { t.Error("a frame in an empty block") })
}

func FuzzWalk(f *testing.F) {
	f.Add(mkBlock("a frame", "another"))
	f.Add(mkBlock())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		walk(b, func(frame []byte, _ time.Duration) {
			if n++; len(frame) > len(b) || n > len(b) {
				t.Errorf("frame %d of %d bytes in a block of %d", n, len(frame), len(b))
			}
		})
	})
}

func TestFramesThatFitNoSlotAreRefused(t *testing.T) {
	for _, n := range []int{0, 13, maxFrame + 1} {
		if s, err := OpenSender(1, n); err == nil {
			s.Close()
			t.Errorf("%d bytes are accepted", n)
		}
	}
}
