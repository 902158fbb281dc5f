package hns

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
)

// ProbeVerb is the hidden verb by which this program becomes a probe: the
// compartment follows it.
const ProbeVerb = "probe-compartment"

// prober is a probe as a world sees it.
type prober interface {
	// ask carries out a request. An error is trouble with the probe.
	ask(ctx context.Context, r probeRequest) (probeMessage, error)
	// events hands out what was reported since the last call.
	events() []probeMessage
	close() error
}

// probeProcess is a probe in a process of its own.
type probeProcess struct {
	cmd *exec.Cmd
	in  io.WriteCloser

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan probeMessage
	seen    []probeMessage
	ended   error         // why it has ended
	gone    chan struct{} // closed with it
	notify  func()        // after every event
}

// startProbe starts a probe for a compartment. notify is called after every
// event, from a goroutine of the probe's.
func startProbe(program string, compartment uint32, on *leash, notify func()) (*probeProcess, error) {
	cmd := exec.Command(program, ProbeVerb, strconv.FormatUint(uint64(compartment), 10))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := on.start(cmd); err != nil {
		return nil, fmt.Errorf("the probe of compartment %d: %w", compartment, err)
	}
	p := &probeProcess{cmd: cmd, in: in, waiting: map[uint64]chan probeMessage{}, gone: make(chan struct{}), notify: notify}
	go p.listen(out)
	return p, nil
}

// listen hands out what the probe says until it ends.
func (p *probeProcess) listen(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(make([]byte, 0, 4096), maxProbeLine)
	var err error
	for err == nil && lines.Scan() {
		var m probeMessage
		if err = json.Unmarshal(lines.Bytes(), &m); err != nil {
			err = fmt.Errorf("a probe said %.80q: %w", lines.Bytes(), err)
			break
		}
		p.take(m)
	}
	err = errors.Join(err, lines.Err())
	if err != nil {
		_ = p.cmd.Process.Kill() // it would write into a pipe that nobody reads
	}
	err = errors.Join(err, p.cmd.Wait())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = errors.Join(errors.New("the probe has ended"), err)
	close(p.gone)
}

func (p *probeProcess) take(m probeMessage) {
	p.mu.Lock()
	if m.ID == 0 {
		p.seen = append(p.seen, m)
		p.mu.Unlock()
		p.notify()
		return
	}
	to := p.waiting[m.ID]
	delete(p.waiting, m.ID)
	p.mu.Unlock()
	if to != nil {
		to <- m
	}
}

func (p *probeProcess) ask(ctx context.Context, r probeRequest) (probeMessage, error) {
	answer := make(chan probeMessage, 1)
	p.mu.Lock()
	p.last++
	r.ID = p.last
	p.waiting[r.ID] = answer
	line, err := json.Marshal(r)
	if err == nil {
		_, err = p.in.Write(append(line, '\n'))
	}
	p.mu.Unlock()
	if err != nil {
		select {
		case <-p.gone: // which says more than a broken pipe
			return probeMessage{}, p.ended
		default:
		}
		return probeMessage{}, fmt.Errorf("asking a probe: %w", err)
	}
	select {
	case m := <-answer:
		if m.Error != "" {
			return m, errors.New(m.Error)
		}
		return m, nil
	case <-p.gone:
		return probeMessage{}, p.ended
	case <-ctx.Done():
		return probeMessage{}, ctx.Err()
	}
}

func (p *probeProcess) events() []probeMessage {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.seen
	p.seen = nil
	return out
}

// close ends the probe and waits for its end.
func (p *probeProcess) close() error {
	_ = p.in.Close()
	<-p.gone
	return nil
}
