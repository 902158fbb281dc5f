package transport

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go"
)

// Peer is the coordinator's view of an agent. Call must not be called
// concurrently; the others may.
type Peer struct {
	h       *Hub
	name    string
	nudge   chan struct{} // send again now
	replies chan *nats.Msg

	// Guarded by the hub's lock.
	life     string
	connects int64
	version  string
	facts    json.RawMessage
	seen     time.Time
	seq      uint64
	waits    bool // for an answer to seq
	ready    bool // it has shown that it knows the run
	lost     *LostError
	counts   Counts
}

// resendEvery is how long a request may be without an answer before it is sent
// again: it may have been lost with a connection, or its answer.
const resendEvery = time.Second

// Name is the agent's.
func (p *Peer) Name() string { return p.name }

// Facts are what the agent said of itself, and its program's version.
func (p *Peer) Facts() (json.RawMessage, string) {
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	return p.facts, p.version
}

// resend asks for another try. The lock may be held.
func (p *Peer) resend() {
	select {
	case p.nudge <- struct{}{}:
	default:
	}
}

// Call has the agent carry out a request and returns its answer. The error is a
// *LostError, or that of ctx: then the agent may still be at it.
func (p *Peer) Call(ctx context.Context, body []byte) ([]byte, error) {
	p.h.mu.Lock()
	p.seq++
	p.waits = true
	seq, life, lost := p.seq, p.life, p.lost
	p.h.mu.Unlock()
	if lost != nil {
		return nil, lost
	}
	select {
	case <-p.replies: // of a request that was given up
	default:
	}
	m := message(subject(p.h.run, "call", p.name), p.h.run, life, seq, body)
	if err := p.h.nc.PublishMsg(m); err != nil {
		return nil, err
	}
	again := time.NewTicker(resendEvery)
	defer again.Stop()
	for {
		p.h.mu.Lock()
		changed, lost := p.h.changed, p.lost
		p.h.mu.Unlock()
		if lost != nil {
			return nil, lost
		}
		select {
		case r := <-p.replies:
			if seqOf(r) == seq {
				return r.Data, nil
			}
			continue
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
			continue
		case <-again.C:
		case <-p.nudge:
		}
		if err := p.h.nc.PublishMsg(m); err != nil {
			return nil, err
		}
	}
}
