package fabric

import (
	"fmt"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/vswitch"
)

// Crossing is one frame that a virtual switch took at one port and gave out at
// another (or the same) one. Frames are valid during the call only.
type Crossing struct {
	Host    string
	Switch  *SwitchProgram
	In, Out vfp.PortID
	Entered []byte // as it came in
	Left    []byte // as it goes out
	ID      uint64
}

// tally is what the owner of a switch saw of it. It must agree with what the
// switch counted itself: a frame that leaves one and never reaches the other
// would be in neither's books.
type tally struct{ in, delivered, dropped uint64 }

// conserved compares the switch's own counters, and those with the owner's.
func (t *tally) conserved(sw *vswitch.Switch, where string) error {
	if err := sw.Conserved(); err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	n := sw.Total()
	if n.In == t.in && n.Out == t.delivered && n.Dropped() == t.dropped {
		return nil
	}
	return fmt.Errorf("%s: it counts %d in, %d out, %d dropped, but %d went in, %d came out, %d drops were reported",
		where, n.In, n.Out, n.Dropped(), t.in, t.delivered, t.dropped)
}

// cross tells the observer of a frame that leaves the switch.
func (s *hostSwitch) cross(port vfp.PortID, p *vfp.Packet) {
	if see := s.h.net.cfg.Observer.OnCross; see != nil {
		see(Crossing{Host: s.h.cfg.Name, Switch: s.prog, In: s.entry, Out: port, Entered: s.entered, Left: p.Bytes(), ID: p.ID})
	}
}
