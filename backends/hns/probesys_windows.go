package hns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	hcsshim "github.com/Microsoft/hcsshim/hcn"
	"golang.org/x/sys/windows"
)

// enterCompartment makes a compartment that of the calling thread, which must
// be locked.
func enterCompartment(id uint32) error {
	if id == 0 {
		return nil // the host's own
	}
	if err := hcsshim.SetCurrentThreadCompartmentId(id); err != nil {
		return fmt.Errorf("network compartment %d: %w", id, err)
	}
	return nil
}

func isRefused(err error) bool { return errors.Is(err, windows.WSAECONNREFUSED) }

func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }

// bindDetail is the code of a bind that was refused, as scenarios name it.
func bindDetail(err error) string {
	var code syscall.Errno
	if errors.As(err, &code) {
		return strconv.Itoa(int(code))
	}
	return detailOf(err)
}

func setTTL(c *net.UDPConn, six bool, ttl uint8) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	level, option := windows.IPPROTO_IP, windows.IP_TTL
	if six {
		level, option = windows.IPPROTO_IPV6, windows.IPV6_UNICAST_HOPS
	}
	var serr error
	err = raw.Control(func(fd uintptr) { serr = windows.SetsockoptInt(windows.Handle(fd), level, option, int(ttl)) })
	return errors.Join(err, serr)
}

var (
	iphlpapi        = windows.NewLazySystemDLL("iphlpapi.dll")
	icmpCreateFile  = iphlpapi.NewProc("IcmpCreateFile")
	icmpSendEcho2Ex = iphlpapi.NewProc("IcmpSendEcho2Ex")
	icmpCloseHandle = iphlpapi.NewProc("IcmpCloseHandle")
)

// ipOptions is IP_OPTION_INFORMATION.
type ipOptions struct {
	ttl, tos, flags, size uint8
	data                  uintptr
}

// pingFrom sends an echo request through the system's own function, which needs
// no privilege and belongs to the thread's compartment. It knows IPv4 only.
func pingFrom(_ context.Context, r probeRequest) (probeMessage, error) {
	dst := r.Dst.Addr()
	if !dst.Is4() {
		return probeMessage{}, errors.New("ping: IPv6 is not supported on Windows")
	}
	h, _, err := icmpCreateFile.Call()
	if windows.Handle(h) == windows.InvalidHandle {
		return probeMessage{}, fmt.Errorf("IcmpCreateFile: %w", err)
	}
	defer func() { _, _, _ = icmpCloseHandle.Call(h) }()
	opt := ipOptions{ttl: 128}
	if r.TTL != 0 {
		opt.ttl = r.TTL
	}
	// ICMP_ECHO_REPLY is 40 bytes, then the data and room for an ICMP error.
	reply := make([]byte, 40+len(r.Payload)+8+16)
	var data unsafe.Pointer
	if len(r.Payload) > 0 {
		data = unsafe.Pointer(&r.Payload[0])
	}
	n, _, err := icmpSendEcho2Ex.Call(h, 0, 0, 0, uintptr(inAddr(r.Src)), uintptr(inAddr(dst)), uintptr(data), uintptr(len(r.Payload)),
		uintptr(unsafe.Pointer(&opt)), uintptr(unsafe.Pointer(&reply[0])), uintptr(len(reply)), uintptr(max(1, r.Timeout/time.Millisecond)))
	status := binary.LittleEndian.Uint32(reply[4:])
	const timedOut = 11010 // IP_REQ_TIMED_OUT
	switch {
	case n > 0 && status == 0:
		return probeMessage{OK: true, Detail: "reply"}, nil
	case n > 0:
		from := netip.AddrFrom4([4]byte(reply[0:4]))
		return probeMessage{Detail: icmpDetail(status) + " from " + from.String()}, nil
	case errors.Is(err, syscall.Errno(timedOut)):
		return probeMessage{Detail: "timeout"}, nil
	}
	return probeMessage{Detail: err.Error()}, nil
}

// icmpDetail turns an IP_STATUS into the message that caused it.
func icmpDetail(status uint32) string {
	switch status {
	case 11002, 11003, 11004, 11005: // network, host, protocol, port unreachable
		return fmt.Sprintf("icmp type 3 code %d", status-11002)
	case 11009: // packet too big
		return "icmp type 3 code 4"
	case 11013: // TTL expired in transit
		return "icmp type 11 code 0"
	}
	return fmt.Sprintf("status %d", status)
}

// inAddr is an address in the layout of IPAddr.
func inAddr(a netip.Addr) uint32 {
	if !a.Is4() {
		return 0
	}
	b := a.As4()
	return binary.LittleEndian.Uint32(b[:])
}

// leash ends processes with this one: a job whose handle is closed takes its
// processes along, whatever ended their parent.
type leash struct{ job windows.Handle }

func newLeash() (*leash, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return nil, fmt.Errorf("a job for the probes: %w", err)
	}
	info := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	info.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("a job for the probes: %w", err), windows.CloseHandle(job))
	}
	return &leash{job}, nil
}

// start starts a process on the leash.
func (l *leash) start(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	h, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(cmd.Process.Pid))
	if err == nil {
		err = errors.Join(windows.AssignProcessToJobObject(l.job, h), windows.CloseHandle(h))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("a probe that would outlive this process: %w", err), cmd.Process.Kill(), cmd.Wait())
	}
	return nil
}

func (l *leash) close() error { return windows.CloseHandle(l.job) }
