package wire

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// slowChecksum is RFC 1071 as the RFC writes it.
func slowChecksum(b []byte) uint16 {
	var s uint32
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(b[i])<<8 | uint32(b[i+1])
	}
	if len(b)%2 != 0 {
		s += uint32(b[len(b)-1]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}

func TestChecksumIsTheRFCs(t *testing.T) {
	// The example of RFC 1071 section 3.
	if got := ^Checksum([]byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}); got != 0xddf2 {
		t.Errorf("sum %#04x, want 0xddf2", got)
	}
	r := rand.New(rand.NewPCG(3, 4))
	ones := make([]byte, 200)
	for i := range ones {
		ones[i] = 0xff
	}
	for n := range 200 {
		b := randomBytes(r, n)
		if got, want := Checksum(b), slowChecksum(b); got != want {
			t.Fatalf("%d random bytes: %#04x, want %#04x", n, got, want)
		}
		if got, want := Checksum(ones[:n]), slowChecksum(ones[:n]); got != want {
			t.Fatalf("%d bytes of ones: %#04x, want %#04x", n, got, want)
		}
		if got, want := Checksum(make([]byte, n)), uint16(0xffff); got != want {
			t.Fatalf("%d zeros: %#04x, want %#04x", n, got, want)
		}
	}
}

func TestFoldReducesAnySum(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, s := range []uint64{0, 1, 0xffff, 0x10000, 0xffffffff, 1 << 32, 1<<64 - 1, 1<<63 + 1, r.Uint64(), r.Uint64()} {
		want := uint16(s % 0xffff)
		if want == 0 && s != 0 {
			want = 0xffff
		}
		if got := Fold(s); got != want {
			t.Errorf("Fold(%#x) = %#04x, want %#04x", s, got, want)
		}
	}
}

func TestMendEqualsRecomputing(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	values := []uint16{0, 1, 0x7fff, 0x8000, 0xfffe, 0xffff}
	value := func() uint16 {
		if i := r.IntN(12); i < len(values) {
			return values[i]
		}
		return uint16(r.Uint32())
	}
	for range 50000 {
		b := randomBytes(r, 24)
		for i := 0; i < len(b); i += 2 {
			if r.IntN(2) == 0 {
				binary.BigEndian.PutUint16(b[i:], value())
			}
		}
		b[20] = 6 // as in every pseudo-header, something is never zero
		before := Checksum(b)
		old := [20]byte(b)
		var mended uint16
		switch at := 2 * r.IntN(2); r.IntN(4) {
		case 0:
			binary.BigEndian.PutUint16(b[at:], value())
			mended = Mend16(before, binary.BigEndian.Uint16(old[at:]), binary.BigEndian.Uint16(b[at:]))
		case 1:
			binary.BigEndian.PutUint16(b[at+2:], value())
			mended = Mend32(before, binary.BigEndian.Uint32(old[at:]), binary.BigEndian.Uint32(b[at:]))
		case 2:
			copy(b[at:], randomBytes(r, 16))
			mended = Mend128(before, [16]byte(old[at:]), [16]byte(b[at:]))
		case 3: // at an odd place
			binary.BigEndian.PutUint16(b[at+1:], value())
			d := Delta16(binary.BigEndian.Uint16(old[at+1:]), binary.BigEndian.Uint16(b[at+1:]))
			mended = d.Swapped().Mend(before)
		}
		if want := Checksum(b); mended != want {
			t.Fatalf("%#04x mended to %#04x, want %#04x\nfrom %x\nto   %x", before, mended, want, old, b)
		}
	}
}

// The example of RFC 1624 section 4, which RFC 1141's equation gets wrong.
func TestMendIsNotFooledByRFC1624sExample(t *testing.T) {
	if got := Mend16(0xdd2f, 0x5555, 0x3285); got != 0x0000 {
		t.Errorf("got %#04x, want 0x0000", got)
	}
}

func TestUDPChecksumZeroes(t *testing.T) {
	if got := Delta16(0x5555, 0x3285).MendUDP(0xdd2f); got != 0xffff {
		t.Errorf("computed zero became %#04x, want 0xffff", got)
	}
	if got := Delta16(1, 2).MendUDP(0); got != 0 {
		t.Errorf("no checksum became %#04x, want 0", got)
	}
	if UDPZero(0) != 0xffff || UDPZero(5) != 5 {
		t.Error("UDPZero")
	}
}
