package hns

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"time"
)

// RunProbe is the life of a probe in a network compartment: it carries out
// requests from in and writes to out until in ends.
func RunProbe(ctx context.Context, compartment uint32, in io.Reader, out io.Writer) error {
	p := &probe{out: json.NewEncoder(out), enter: func() error { return enterCompartment(compartment) }, ping: pingFrom,
		udp: map[netip.AddrPort]*udpSocket{}}
	// Once at the start, so that a compartment that does not exist is one error.
	if err := p.inside(func() error { return nil }); err != nil {
		return err
	}
	defer p.close()
	return p.serve(ctx, in)
}

// probe keeps the sockets of a container. A socket belongs to the compartment
// of the thread that makes it, so that everything which makes one runs inside.
type probe struct {
	enter func() error
	ping  func(ctx context.Context, r probeRequest) (probeMessage, error)

	outMu sync.Mutex
	out   *json.Encoder

	mu     sync.Mutex
	udp    map[netip.AddrPort]*udpSocket
	closer []io.Closer
}

// inside runs f on a thread of its own in the compartment. The thread ends with
// f: no other goroutine ever runs on it.
func (p *probe) inside(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		err := p.enter()
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

func (p *probe) write(m probeMessage) {
	p.outMu.Lock()
	defer p.outMu.Unlock()
	if m.At == 0 {
		m.At = time.Now().UnixNano()
	}
	_ = p.out.Encode(m) // a parent that has gone ends the input, too
}

func (p *probe) serve(ctx context.Context, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 4096), maxProbeLine)
	for lines.Scan() {
		var r probeRequest
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return fmt.Errorf("probe: a line that is no request: %w", err)
		}
		var m probeMessage
		err := p.inside(func() (err error) { m, err = p.do(ctx, r); return err })
		m.ID = r.ID
		if err != nil {
			m.Error = err.Error()
		}
		p.write(m)
	}
	return lines.Err()
}

func (p *probe) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.closer {
		_ = c.Close()
	}
}

func (p *probe) keep(c io.Closer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closer = append(p.closer, c)
}

// do carries out one request. A refusal of the network is an answer, an error
// is not.
func (p *probe) do(ctx context.Context, r probeRequest) (probeMessage, error) {
	switch r.Do {
	case probeReady:
		return p.ready(ctx, r)
	case probeSend:
		return p.send(ctx, r)
	case probeWatch:
		s, err := p.udpAt(r)
		return bound(s, err)
	case probeListen:
		return p.listen(r)
	case probeBind:
		return p.bind(r)
	case probeConnect:
		return p.connect(ctx, r)
	case probePing:
		return p.ping(ctx, r)
	}
	return probeMessage{}, fmt.Errorf("probe: no verb %q", r.Do)
}

// pollInterval is between two looks at something that cannot be waited for.
const pollInterval = 2 * time.Millisecond

// ready waits until an address can be bound, which is when the stack of the
// compartment has it and has finished duplicate address detection.
func (p *probe) ready(ctx context.Context, r probeRequest) (probeMessage, error) {
	start := time.Now()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(r.Src, 0)))
		if err == nil {
			return probeMessage{OK: true, Detail: time.Since(start).String()}, c.Close()
		}
		if time.Since(start) > r.Timeout {
			return probeMessage{Detail: fmt.Sprintf("no address %s after %v: %v", r.Src, r.Timeout, err)}, nil
		}
		select {
		case <-ctx.Done():
			return probeMessage{}, ctx.Err()
		case <-tick.C:
		}
	}
}

// detailOf is the short form of what a socket call says.
func detailOf(err error) string {
	var op *net.OpError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case isRefused(err):
		return "refused"
	case errors.As(err, &op):
		return op.Err.Error()
	}
	return err.Error()
}

// bound is the answer of what opens a socket.
func bound(s interface{ local() netip.AddrPort }, err error) (probeMessage, error) {
	if err != nil {
		return probeMessage{Detail: bindDetail(err)}, nil
	}
	return probeMessage{OK: true, Local: s.local()}, nil
}
