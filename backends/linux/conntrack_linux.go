package linux

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Messages and attributes of linux/netfilter/nfnetlink_conntrack.h.
const (
	ctNew, ctGet, ctDelete = 0, 1, 2

	ctaTupleOrig = 1
	ctaTimeout   = 7
	ctaZone      = 18
)

// connection is an entry of a connection table: what names it, as the kernel
// wrote it, and how long it still has.
type connection struct {
	family byte
	names  []byte // attributes
	left   time.Duration
}

// frozen is what connections of a namespace have left on the contract's clock,
// by their names.
type frozen map[string]time.Duration

// held is added to what a connection has left, so that the kernel's own clock
// does not end it meanwhile. What has less than half of it left was refreshed
// by a packet since.
const held = 1_000_000 * time.Second

// age lets time pass for a namespace's connections, as if all of it had been
// idle, and stops the kernel's clock for them. The kernel has decided what each
// has left, and looks at nothing else when it decides whether one is over.
func (s *space) age(d time.Duration) error {
	if s.frozen == nil {
		return nil // nothing here tracks connections
	}
	fd := -1
	err := s.do(func() (err error) {
		fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
		return err
	})
	if err != nil {
		return fmt.Errorf("connections of %s: %w", s.name, err)
	}
	defer unix.Close(fd)
	list, err := connections(fd)
	now := frozen{}
	for _, c := range list {
		err = errors.Join(err, s.frozen.age(fd, c, d, now))
	}
	s.frozen = now
	if err != nil {
		return fmt.Errorf("connections of %s: %w", s.name, err)
	}
	return nil
}

// age takes time off a connection, which ends when nothing is left.
func (f frozen) age(fd int, c *connection, d time.Duration, now frozen) error {
	left, known := f[string(c.names)]
	if !known || c.left < held/2 {
		left = c.left + time.Second // the kernel rounds down: the second that has begun counts
	} else if d == 0 {
		now[string(c.names)] = left
		return nil
	}
	left -= d
	kind, body := uint16(ctDelete), c.names
	if left > 0 {
		kind, now[string(c.names)] = ctNew, left
		body = append(append([]byte(nil), c.names...), attribute(ctaTimeout, binary.BigEndian.AppendUint32(nil, uint32((left+held)/time.Second)))...)
	}
	err := conntrackRequest(fd, kind, unix.NLM_F_REQUEST|unix.NLM_F_ACK, c.family, body)
	if err != nil {
		return err
	}
	_, err = conntrackAnswer(fd, nil)
	if errors.Is(err, unix.ENOENT) {
		return nil // it has ended by itself
	}
	return err
}

// connections lists a connection table.
func connections(fd int) ([]*connection, error) {
	if err := conntrackRequest(fd, ctGet, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, unix.AF_UNSPEC, nil); err != nil {
		return nil, err
	}
	var out []*connection
	for {
		done, err := conntrackAnswer(fd, func(body []byte) {
			if c := parseConnection(body); c != nil {
				out = append(out, c)
			}
		})
		if done || err != nil {
			return out, err
		}
	}
}

// parseConnection reads one entry behind its netlink header; nil if it has no
// time out, as entries that are being taken down have none.
func parseConnection(b []byte) *connection {
	if len(b) < 4 {
		return nil
	}
	c := &connection{family: b[0]}
	timed := false
	attributes(b[4:], func(kind uint16, data []byte) {
		switch kind &^ unix.NLA_F_NESTED {
		case ctaTupleOrig:
			c.names = append(c.names, attribute(ctaTupleOrig|unix.NLA_F_NESTED, data)...)
		case ctaZone:
			c.names = append(c.names, attribute(ctaZone, data)...)
		case ctaTimeout:
			if len(data) == 4 {
				c.left, timed = time.Duration(binary.BigEndian.Uint32(data))*time.Second, true
			}
		}
	})
	if !timed || len(c.names) == 0 {
		return nil
	}
	return c
}

func conntrackRequest(fd int, kind, flags uint16, family byte, body []byte) error {
	msg := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+4+len(body)))
	msg = binary.NativeEndian.AppendUint16(msg, unix.NFNL_SUBSYS_CTNETLINK<<8|kind)
	msg = binary.NativeEndian.AppendUint16(msg, flags)
	msg = append(msg, make([]byte, 8)...) // sequence and port
	msg = append(msg, family, 0, 0, 0)
	return unix.Sendto(fd, append(msg, body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// conntrackAnswer reads one datagram of an answer. done is its end.
func conntrackAnswer(fd int, each func(body []byte)) (done bool, err error) {
	buf := make([]byte, 1<<16)
	n, _, err := unix.Recvfrom(fd, buf, 0)
	if err != nil {
		return true, err
	}
	netlinkMessages(buf[:n], func(kind uint16, body []byte) {
		switch kind {
		case unix.NLMSG_DONE:
			done = true
		case unix.NLMSG_ERROR:
			done = true
			if len(body) >= 4 {
				if code := int32(binary.NativeEndian.Uint32(body)); code != 0 {
					err = unix.Errno(-code)
				}
			}
		default:
			if each != nil {
				each(body)
			}
		}
	})
	return done, err
}

// netlinkMessages walks the messages of a datagram. What is damaged ends the
// walk.
func netlinkMessages(b []byte, f func(kind uint16, body []byte)) {
	for len(b) >= unix.NLMSG_HDRLEN {
		size := int(binary.NativeEndian.Uint32(b))
		if size < unix.NLMSG_HDRLEN || size > len(b) {
			return
		}
		f(binary.NativeEndian.Uint16(b[4:]), b[unix.NLMSG_HDRLEN:size])
		b = b[min(len(b), (size+3)&^3):]
	}
}

// attributes walks netlink attributes.
func attributes(b []byte, f func(kind uint16, data []byte)) {
	for len(b) >= 4 {
		size := int(binary.NativeEndian.Uint16(b))
		if size < 4 || size > len(b) {
			return
		}
		f(binary.NativeEndian.Uint16(b[2:]), b[4:size])
		b = b[min(len(b), (size+3)&^3):]
	}
}
