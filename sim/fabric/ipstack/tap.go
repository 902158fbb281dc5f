package ipstack

import (
	"errors"
	"fmt"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// Tap is somebody else in the place of a stack on one of its interfaces: a
// richer stack, a packet generator. The interface keeps its address, its MTU
// and its observers; only who answers changes. A Tap is used from the stack's
// goroutine.
//
// The stack itself may still send through the interface, but answers that the
// tap takes do not reach it.
type Tap struct {
	i    *Interface
	take func(now int64, frame []byte, id uint64) bool
}

// ErrTapped says that an interface has a tap already.
var ErrTapped = errors.New("the interface is tapped already")

// Tap gives the frames that the interface accepts to take, without priority
// tag and padding, before the stack sees them. take reports whether it took
// the frame; those it leaves go to the stack as ever. The frame is valid during
// the call only.
func (i *Interface) Tap(take func(now int64, frame []byte, id uint64) bool) (*Tap, error) {
	switch {
	case i.lo || i.gone:
		return nil, fmt.Errorf("stack %s, interface %s: %w", i.s.cfg.Name, i.cfg.Name, ErrUnreachable)
	case i.tap != nil:
		return nil, fmt.Errorf("stack %s, interface %s: %w", i.s.cfg.Name, i.cfg.Name, ErrTapped)
	}
	i.tap = &Tap{i, take}
	i.s.changed()
	return i.tap, nil
}

// Send puts a frame on the interface's link, as the stack would; the frame
// stays the caller's. It reports false if the tap was released or the interface
// is gone. An interface that is down drops the frame with LinkDown.
func (t *Tap) Send(now int64, frame []byte) bool {
	if t.i.tap != t || t.i.gone {
		return false
	}
	id := t.i.s.newID()
	if len(frame) < wire.EthernetLen {
		t.i.s.dropFrame(now, t.i.cfg.Name, vfp.DropMalformed, frame, id)
		return true
	}
	t.i.transmit(now, frame, id)
	return true
}

// Release gives the interface back to its stack; doing so twice is harmless.
func (t *Tap) Release() {
	if t.i.tap == t {
		t.i.tap = nil
		t.i.s.changed()
	}
}

// tapped offers a frame to the tap.
func (i *Interface) tapped(now int64, p *vfp.Packet) bool {
	if i.tap == nil {
		return false
	}
	if p.Meta.IsIP() {
		i.s.plain(p) // what the stack would do first
	}
	return i.tap.take(now, p.Bytes(), p.ID)
}
