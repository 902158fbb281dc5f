package ipstack

import (
	"fmt"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// FragmentPlan says how to send a packet in pieces: Sizes are the bytes behind
// the IP header in each piece, all but the last multiples of eight, together
// the whole. Order lists the pieces that leave, by index, in that order;
// nil means all of them as they come.
type FragmentPlan struct {
	Sizes []int
	Order []int
}

func (f FragmentPlan) check(total int) error {
	sum := 0
	for i, n := range f.Sizes {
		if n <= 0 || n%8 != 0 && i < len(f.Sizes)-1 {
			return fmt.Errorf("fragment %d: %d bytes is no positive multiple of 8", i, n)
		}
		sum += n
	}
	if sum != total {
		return fmt.Errorf("fragments of %d bytes in all for a packet with %d", sum, total)
	}
	for _, i := range f.Order {
		if i < 0 || i >= len(f.Sizes) {
			return fmt.Errorf("there is no fragment %d, only %d of them", i, len(f.Sizes))
		}
	}
	return nil
}

// outputPlanned sends a packet in the pieces of a plan. Pieces share the
// packet's identity, and each is output for itself: a hook sees fragments.
func (s *Stack) outputPlanned(now int64, p *vfp.Packet, how sending) error {
	m, plan := &p.Meta, how.plan
	start := m.L4
	if m.IsIPv6 {
		start = m.L3 + wire.IPv6Len
	}
	if err := plan.check(m.End - start); err != nil {
		return err
	}
	var pieces [][]byte
	if m.IsIPv4 {
		pieces = wire.FragmentIPv4(p.Bytes(), plan.Sizes[:len(plan.Sizes)-1])
	} else {
		s.ipID6++
		pieces = cut6(p.Bytes()[:m.End], start, plan.Sizes, s.ipID6)
	}
	order := plan.Order
	if order == nil {
		for i := range pieces {
			order = append(order, i)
		}
	}
	for _, i := range order {
		f := s.get(pieces[i], p.ID)
		f.Parse()
		err := s.output(now, f, how.zone)
		s.put(f)
		if err != nil {
			return err
		}
	}
	return nil
}

// cut6 cuts an IPv6 packet behind its fixed header, which ends at start.
func cut6(frame []byte, start int, sizes []int, id uint32) [][]byte {
	var out [][]byte
	body := frame[start:]
	next := wire.IPv6(frame[start-wire.IPv6Len:]).NextHeader()
	off := 0
	for _, n := range sizes {
		f := append([]byte(nil), frame[:start]...)
		f = append(f, make([]byte, wire.FragmentLen)...)
		wire.IPv6Fragment(f[start:]).Set(next, off, off+n < len(body), id)
		f = append(f, body[off:off+n]...)
		ip := wire.IPv6(f[start-wire.IPv6Len:])
		ip.SetNextHeader(wire.ProtoFragment)
		ip.SetPayloadLen(wire.FragmentLen + n)
		out = append(out, f)
		off += n
	}
	return out
}
