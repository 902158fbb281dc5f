package hns

import (
	"fmt"

	"github.com/hnsim/hnsim/sim/hcn"
)

// next returns the generator's next value. It is SplitMix64: one word of
// state, so that the position can live in the State and an operation that
// fails leaves it alone.
func (c *counters) next() uint64 {
	c.rng += 0x9E3779B97F4A7C15
	z := c.rng
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// below returns a value in [0, n). n is small against 2^64, so the modulo's
// bias does not matter: these numbers spread addresses, they guard nothing.
func (c *counters) below(n uint64) uint64 {
	if n == 0 {
		return 0
	}
	return c.next() % n
}

// guid makes a version 4 GUID, lower case: the form that is safest in the v2
// shape (rule B6).
func (c *counters) guid() string {
	a, b := c.next(), c.next()
	a = a&^uint64(0xF000) | 0x4000
	b = b&^(uint64(3)<<62) | uint64(2)<<62
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", a>>32, a>>16&0xFFFF, a&0xFFFF, b>>48, b&0xFFFFFFFFFFFF)
}

// poolBlock makes a block of 4096 addresses, 00-15-5D-xx-y0-00 to
// 00-15-5D-xx-yF-FF, that no pool of the state has (F.1). Blocks run out
// after 4096 networks; later ones share.
func (t *tx) poolBlock() MACPool {
	var p MACPool
	for tries := 0; tries < 64; tries++ {
		r := t.next.counters.next()
		first := [6]byte{0x00, 0x15, 0x5D, byte(r), byte(r >> 8 & 0xF0), 0}
		last := [6]byte{0x00, 0x15, 0x5D, byte(r), byte(r>>8&0xF0) | 0x0F, 0xFF}
		p = MACPool{first, last}
		taken := false
		for _, n := range t.next.Networks {
			taken = taken || n.Pool.overlaps(p)
		}
		if !taken {
			break
		}
	}
	return p
}

func macNumber(mac [6]byte) uint64 {
	var n uint64
	for _, b := range mac {
		n = n<<8 | uint64(b)
	}
	return n
}

func numberMAC(n uint64) [6]byte {
	var mac [6]byte
	for i := 5; i >= 0; i-- {
		mac[i] = byte(n)
		n >>= 8
	}
	return mac
}

func (p MACPool) overlaps(o MACPool) bool {
	return macNumber(p.First) <= macNumber(o.Last) && macNumber(o.First) <= macNumber(p.Last)
}

// freeMAC takes a free address of the network's pool.
func (t *tx) freeMAC(n *Network) ([6]byte, error) {
	first, size := macNumber(n.Pool.First), macNumber(n.Pool.Last)-macNumber(n.Pool.First)+1
	start := t.next.counters.below(size)
	if mac := numberMAC(first + start); mac != n.HostMAC && mac != n.DRMAC && !t.next.hasMAC(n, mac) {
		return mac, nil // nearly always
	}
	taken := map[uint64]bool{macNumber(n.HostMAC): true, macNumber(n.DRMAC): true}
	for _, e := range t.next.EndpointsOf(n.Num) {
		taken[macNumber(e.MAC)] = true
	}
	for i := uint64(0); i < size && i <= uint64(len(taken)); i++ {
		if at := first + (start+i)%size; !taken[at] {
			return numberMAC(at), nil
		}
	}
	return [6]byte{}, hcn.ErrorAt(hcn.ErrAddrInvalidOrReserved, "MacAddress", "a MAC pool without a free address", "a larger MacPool")
}
