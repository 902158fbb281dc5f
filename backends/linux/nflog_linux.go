package linux

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hnsim/hnsim/backends"
)

// dropLog reads the packets that rules of a namespace discarded: every rule
// that drops logs to one NFLOG group, with the reason as the prefix.
type dropLog struct {
	fd    int
	node  string
	place func(id string) string // the role that a switch port belongs to
}

// Messages and attributes of linux/netfilter/nfnetlink_log.h.
const (
	nfulPacket, nfulConfig = 0, 1
	nfulCfgCmd             = 1
	nfulCfgMode            = 2
	nfulCfgQThresh         = 5
	nfulCmdBind            = 1
	nfulCopyPacket         = 2

	nfulaPayload  = 9
	nfulaPrefix   = 10
	nfulaHWHeader = 16
)

// watchDrops begins to read a namespace's log.
func (s *space) watchDrops(node string, place func(string) string) (*dropLog, error) {
	d := &dropLog{fd: -1, node: node, place: place}
	err := s.do(func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
		if err != nil {
			return err
		}
		d.fd = fd
		return unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	})
	if err == nil {
		err = d.configure()
	}
	if err != nil {
		return nil, fmt.Errorf("log of dropped packets in %s: %w", s.name, err)
	}
	return d, nil
}

func (d *dropLog) configure() error {
	for _, attr := range [][]byte{
		attribute(nfulCfgCmd, []byte{nfulCmdBind}),
		attribute(nfulCfgMode, []byte{0, 0, 0xff, 0xff, nfulCopyPacket, 0}),
		attribute(nfulCfgQThresh, binary.BigEndian.AppendUint32(nil, 1)),
	} {
		if err := d.request(attr); err != nil {
			return err
		}
	}
	return nil
}

func attribute(kind uint16, data []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(data)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, data...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// request sends one configuration message and waits for its acknowledgement.
func (d *dropLog) request(attr []byte) error {
	msg := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+4+len(attr)))
	msg = binary.NativeEndian.AppendUint16(msg, unix.NFNL_SUBSYS_ULOG<<8|nfulConfig)
	msg = binary.NativeEndian.AppendUint16(msg, unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	msg = append(msg, make([]byte, 8)...) // sequence and port
	msg = append(msg, unix.AF_UNSPEC, 0)
	msg = binary.BigEndian.AppendUint16(msg, dropGroup)
	msg = append(msg, attr...)
	if err := unix.Sendto(d.fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(d.fd), Events: unix.POLLIN}}, 2000); err != nil || n == 0 {
		return fmt.Errorf("no acknowledgement: %w", errors.Join(err, unix.ETIMEDOUT))
	}
	buf := make([]byte, 4096)
	n, _, err := unix.Recvfrom(d.fd, buf, 0)
	if err != nil {
		return err
	}
	if n >= unix.NLMSG_HDRLEN+4 && binary.NativeEndian.Uint16(buf[4:]) == unix.NLMSG_ERROR {
		if code := int32(binary.NativeEndian.Uint32(buf[unix.NLMSG_HDRLEN:])); code != 0 {
			return unix.Errno(-code)
		}
	}
	return nil
}

// read takes what has been logged.
func (d *dropLog) read(buf []byte, add func(sighting)) (bool, error) {
	any := false
	for {
		n, _, err := unix.Recvfrom(d.fd, buf, 0)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return any, nil
		case errors.Is(err, unix.ENOBUFS):
			return any, errors.New("the log of dropped packets overflowed")
		case err != nil:
			return any, fmt.Errorf("log of dropped packets: %w", err)
		}
		any = true
		d.messages(buf[:n], add)
	}
}

// messages walks the netlink messages of one datagram.
func (d *dropLog) messages(b []byte, add func(sighting)) {
	netlinkMessages(b, func(kind uint16, body []byte) {
		if kind == unix.NFNL_SUBSYS_ULOG<<8|nfulPacket && len(body) >= 4 {
			add(d.packet(body[4:]))
		}
	})
}

// packet turns a logged packet into what was seen: the frame with its Ethernet
// header, the reason and the place from the prefix.
func (d *dropLog) packet(b []byte) sighting {
	s := sighting{at: time.Now(), kind: backends.DroppedAt, role: d.node}
	var header, body []byte
	attributes(b, func(kind uint16, data []byte) {
		switch kind {
		case nfulaPrefix:
			reason, place, _ := strings.Cut(strings.TrimRight(string(data), "\x00"), " ")
			s.reason = reason
			if place != "" {
				s.where = d.place(place)
			}
		case nfulaPayload:
			body = data
		case nfulaHWHeader:
			header = data
		}
	})
	s.frame = framed(header, body)
	return s
}

// framed joins what the log shows of the Ethernet header and the packet. Local
// packets have no header yet: they get an empty one.
func framed(header, body []byte) []byte {
	const ethernet = 14
	if len(header) < ethernet {
		kind := uint16(unix.ETH_P_IP)
		if len(body) > 0 && body[0]>>4 == 6 {
			kind = unix.ETH_P_IPV6
		}
		header = append(make([]byte, 12), byte(kind>>8), byte(kind))
	}
	return append(append([]byte(nil), header...), body...)
}

func (d *dropLog) close() { unix.Close(d.fd) }
