package linux

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/wire"
)

// point is what a captured interface stands for.
type point struct {
	node string        // the node whose wire it is, or ""
	role func() string // whose NIC it is, or nil; "" while nobody's
	name string
	// skip leaves out frames that the role would not have on Windows.
	skip func(frame []byte, sent bool) bool
}

// capture sees every frame of a namespace's interfaces, with the kernel's
// time stamps.
type capture struct {
	fd     int
	points map[int]*point // by interface index
}

// captureBuffer holds a burst of frames between two reads.
const captureBuffer = 16 << 20

// watch begins to capture in a namespace.
func (s *space) watch() (*capture, error) {
	c := &capture{fd: -1, points: map[int]*point{}}
	err := s.do(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(hostToNet(unix.ETH_P_ALL)))
		if err != nil {
			return err
		}
		c.fd = fd
		return errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1))
	})
	if err != nil {
		return nil, fmt.Errorf("capture in %s: %w", s.name, err)
	}
	if unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureBuffer) != nil {
		// Without the right to more than the system's limit that limit must do.
		_ = unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, captureBuffer)
	}
	return c, nil
}

// at says what an interface stands for.
func (c *capture) at(s *space, name string, p *point) error {
	l, err := s.link(name)
	if err != nil {
		return err
	}
	p.name = name
	c.points[l.Attrs().Index] = p
	return nil
}

func hostToNet(v uint16) uint16 { return v<<8 | v>>8 }

// sighting is a captured frame.
type sighting struct {
	at     time.Time
	kind   backends.ObservationKind
	role   string
	peer   string // tx or rx on a wire
	where  string
	reason string
	frame  []byte
}

// maxFrame is longer than any frame that a virtual interface carries.
const maxFrame = 1 << 17

// read takes what has been captured.
func (c *capture) read(buf []byte, add func(sighting)) (bool, error) {
	oob := make([]byte, 256)
	any := false
	for {
		n, oobn, flags, from, err := unix.Recvmsg(c.fd, buf, oob, 0)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return any, c.lost()
		case errors.Is(err, unix.ENETDOWN):
			continue // an interface went away
		case err != nil:
			return any, fmt.Errorf("capture: %w", err)
		case flags&unix.MSG_TRUNC != 0:
			return any, fmt.Errorf("capture: a frame of more than %d bytes", len(buf))
		}
		any = true
		ll, ok := from.(*unix.SockaddrLinklayer)
		if !ok {
			continue
		}
		p := c.points[ll.Ifindex]
		if p == nil || ll.Pkttype == unix.PACKET_LOOPBACK {
			continue
		}
		at, tci := control(oob[:oobn])
		frame := append([]byte(nil), buf[:n]...)
		if tci != 0 {
			frame = tagged(frame, tci)
		}
		p.see(at, frame, ll.Pkttype, add)
	}
}

// lost fails if frames did not fit into the buffer since it was last asked. The
// kernel tells nobody else: reading goes on with the frames that did.
func (c *capture) lost() error {
	stats, err := unix.GetsockoptTpacketStats(c.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	if stats.Drops > 0 {
		return fmt.Errorf("the capture lost %d frames: its buffer was full; give it more (sysctl net.core.rmem_max) or run as root", stats.Drops)
	}
	return nil
}

// see reports a frame at the places that the interface stands for, in the
// order in which it passes them.
func (p *point) see(at time.Time, frame []byte, kind uint8, add func(sighting)) {
	if noise(frame) {
		return
	}
	role := ""
	if p.role != nil {
		role = p.role()
	}
	sent := kind == unix.PACKET_OUTGOING
	if role != "" && p.skip != nil && p.skip(frame, sent) {
		role = ""
	}
	s := sighting{at: at, where: p.name, frame: frame}
	put := func(k backends.ObservationKind, who, peer string) {
		if who != "" {
			s.kind, s.role, s.peer = k, who, peer
			add(s)
		}
	}
	switch {
	case sent:
		put(backends.Sent, role, "")
		put(backends.OnWire, p.node, "tx")
	default:
		put(backends.OnWire, p.node, "rx")
		if kind != unix.PACKET_OTHERHOST {
			put(backends.Received, role, "")
		}
	}
}

// noise is what the kernel sends unasked: multicast listener reports. Scenarios
// ignore ARP, neighbour discovery and IGMP themselves.
func noise(frame []byte) bool {
	var m wire.Meta
	if wire.Parse(frame, &m) != wire.OK || !m.IsIPv6 || m.Proto != wire.ProtoICMPv6 {
		return false
	}
	const done, report2 = 132, 143
	return m.ICMPType >= 130 && m.ICMPType <= done || m.ICMPType == report2
}

// control reads the time stamp and the VLAN tag that the kernel took off.
func control(oob []byte) (at time.Time, tci uint32) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return time.Now(), 0
	}
	for _, m := range msgs {
		switch {
		case m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})):
			ts := (*unix.Timespec)(unsafe.Pointer(&m.Data[0]))
			at = time.Unix(ts.Unix())
		case m.Header.Level == unix.SOL_PACKET && m.Header.Type == unix.PACKET_AUXDATA && len(m.Data) >= int(unsafe.Sizeof(unix.TpacketAuxdata{})):
			aux := (*unix.TpacketAuxdata)(unsafe.Pointer(&m.Data[0]))
			if aux.Status&unix.TP_STATUS_VLAN_VALID != 0 {
				tci = uint32(aux.Vlan_tci) | uint32(unix.ETH_P_8021Q)<<16
			}
		}
	}
	if at.IsZero() {
		at = time.Now()
	}
	return at, tci
}

// tagged puts a VLAN tag back into a frame.
func tagged(frame []byte, tag uint32) []byte {
	out := make([]byte, 0, len(frame)+4)
	out = append(out, frame[:12]...)
	out = binary.BigEndian.AppendUint32(out, tag)
	return append(out, frame[12:]...)
}

func (c *capture) close() { unix.Close(c.fd) }
