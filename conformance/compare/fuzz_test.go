package compare

import (
	"testing"

	"github.com/hnsim/hnsim/sim/wire"
)

// A backend may report any bytes. Comparing them never fails; a frame equals
// itself, and what is equal one way round is equal the other.
func FuzzFrames(f *testing.F) {
	seg := udp(tcp(wire.TCPSyn, 1, 0))
	for _, pair := range [][2][]byte{{udp(), udp(sport(50009))}, {seg, udp()}, {udp()[:20], nil}, {udp(), broken(udp())}, {seg[:40], seg}} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		for _, strict := range [][]string{nil, {"all"}} {
			for _, realTime := range []bool{false, true} {
				if rows, equal := newLedger(strict, realTime).draft().frames(a, a); !equal {
					t.Fatalf("%x differs from itself: %+v", a, rows)
				}
				_, one := newLedger(strict, realTime).draft().frames(a, b)
				_, other := newLedger(strict, realTime).draft().frames(b, a)
				if one != other {
					t.Fatalf("equal %v, the other way round %v: %x and %x", one, other, a, b)
				}
			}
		}
	})
}

func FuzzDocuments(f *testing.F) {
	f.Add([]byte(`{"ID":"`+guidA+`","Policies":[{"Type":"VLAN"}]}`), []byte(`{"ID":"`+guidB+`"}`))
	f.Add([]byte(`["a",1,null]`), []byte(`[]`))
	f.Add([]byte(`{`), []byte(`"172.16.0.0/20"`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if rows, equal := newLedger(nil, false).draft().documents(a, a, nil); !equal {
			t.Fatalf("%q differs from itself: %+v", a, rows)
		}
		_, one := newLedger(nil, false).draft().documents(a, b, nil)
		_, other := newLedger(nil, false).draft().documents(b, a, nil)
		if one != other {
			t.Fatalf("equal %v, the other way round %v: %q and %q", one, other, a, b)
		}
	})
}
