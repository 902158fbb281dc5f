package ring

import (
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Receiver takes the frames that come in at one interface. It is used from one
// goroutine.
type Receiver struct {
	fd    int
	ring  []byte
	block int // the next one
	lost  uint64
}

const (
	blocks = 32
	// retire is after how many milliseconds a block that is not full is given out.
	retire = 2
)

// OpenReceiver opens the ring.
func OpenReceiver(ifindex int) (_ *Receiver, err error) {
	r := &Receiver{fd: -1}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	if r.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return nil, fmt.Errorf("ring of version 3: %w", err)
	}
	// An old kernel has no such option; then the counter sorts them out.
	_ = unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
	const frame = 1 << 14 // for the kernel's arithmetic; frames lie close in version 3
	req := unix.TpacketReq3{Block_size: blockSize, Block_nr: blocks, Frame_size: frame, Frame_nr: blockSize / frame * blocks, Retire_blk_tov: retire}
	if err := unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return nil, fmt.Errorf("ring of %d blocks: %w", blocks, err)
	}
	if r.ring, err = unix.Mmap(r.fd, 0, blockSize*blocks, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, fmt.Errorf("mapping the ring: %w", err)
	}
	to := &unix.SockaddrLinklayer{Protocol: unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8, Ifindex: ifindex}
	if err := unix.Bind(r.fd, to); err != nil {
		return nil, fmt.Errorf("interface %d: %w", ifindex, err)
	}
	return r, nil
}

// Close gives the ring back.
func (r *Receiver) Close() {
	if r.ring != nil {
		_ = unix.Munmap(r.ring)
		r.ring = nil
	}
	if r.fd >= 0 {
		unix.Close(r.fd)
		r.fd = -1
	}
}

// Take waits for at most d and gives every frame that is there to each, with
// the kernel's time stamp (since 1970). Frames are valid during the call.
func (r *Receiver) Take(d time.Duration, each func(frame []byte, at time.Duration)) (some bool, err error) {
	for {
		b := r.ring[r.block*blockSize : (r.block+1)*blockSize]
		status := (*uint32)(unsafe.Pointer(&b[blockStatus]))
		if atomic.LoadUint32(status)&unix.TP_STATUS_USER == 0 {
			if some || d <= 0 {
				return some, nil
			}
			fds := []unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLIN}}
			if _, err := unix.Poll(fds, max(int(d.Milliseconds()), 1)); err != nil && err != unix.EINTR {
				return some, fmt.Errorf("waiting for frames: %w", err)
			}
			d = 0
			continue
		}
		some = true
		walk(b, each)
		atomic.StoreUint32(status, unix.TP_STATUS_KERNEL)
		r.block = (r.block + 1) % blocks
	}
}

// Lost is how many frames found no room in the ring so far.
func (r *Receiver) Lost() (uint64, error) {
	s, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return r.lost, fmt.Errorf("counting lost frames: %w", err)
	}
	r.lost += uint64(s.Drops) // the kernel's counter begins again
	return r.lost, nil
}

// Places in a block: a descriptor, then the header of version 1.
var (
	blockStatus = int(unsafe.Offsetof(unix.TpacketBlockDesc{}.Hdr) + unsafe.Offsetof(unix.TpacketHdrV1{}.Block_status))
	blockCount  = int(unsafe.Offsetof(unix.TpacketBlockDesc{}.Hdr) + unsafe.Offsetof(unix.TpacketHdrV1{}.Num_pkts))
	blockFirst  = int(unsafe.Offsetof(unix.TpacketBlockDesc{}.Hdr) + unsafe.Offsetof(unix.TpacketHdrV1{}.Offset_to_first_pkt))
)

// walk gives out the frames of a block. What does not lie within it ends the
// walk.
func walk(b []byte, each func(frame []byte, at time.Duration)) {
	const header = int(unsafe.Sizeof(unix.Tpacket3Hdr{}))
	if len(b) < blockFirst+4 {
		return
	}
	word := func(at int) int { return int(*(*uint32)(unsafe.Pointer(&b[at]))) }
	at := word(blockFirst)
	for range word(blockCount) {
		if at < 0 || at%4 != 0 || at+header > len(b) {
			return
		}
		h := (*unix.Tpacket3Hdr)(unsafe.Pointer(&b[at]))
		from := at + int(h.Mac)
		to := from + int(h.Snaplen)
		if to > len(b) || to < from {
			return
		}
		each(b[from:to:to], time.Duration(h.Sec)*time.Second+time.Duration(h.Nsec))
		if h.Next_offset == 0 {
			return
		}
		at += int(h.Next_offset)
	}
}
