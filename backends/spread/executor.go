package spread

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/codec"
)

// Executor carries out on a local backend what a coordinator asks of an agent.
// It holds at most one part at a time. It is a transport.Handler.
type Executor struct {
	local backends.PartBackend
	facts Facts
	note  func(string)

	mu    sync.Mutex // held while the part is in use
	part  backends.Part
	world uint64
	trial error // of serving, for the next operation
	stop  chan struct{}
	serve sync.WaitGroup
}

// NewExecutor makes one for a backend. One that makes no parts can be used if
// its worlds are a machine's own.
func NewExecutor(b backends.Backend, note func(string)) *Executor {
	local, ok := b.(backends.PartBackend)
	if !ok {
		local = whole{b}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	x := &Executor{local: local, note: note, facts: Facts{Host: host, OS: runtime.GOOS, Arch: runtime.GOARCH, Backend: b.Name(), Lacks: local.Ready()}}
	x.facts.Capabilities = slices.DeleteFunc(slices.Clone(b.Capabilities()), func(c backends.Capability) bool { return slices.Contains(notRemote, c) })
	if n, ok := b.(backends.DropNamer); ok {
		x.facts.DropNames = n.DropNames()
	}
	if d, ok := b.(backends.Deviator); ok {
		file, text := d.Deviations()
		x.facts.Deviations = &Deviations{file, string(text)}
	}
	if !ok {
		x.facts.MaxHosts = 1
	}
	return x
}

// notRemote are capabilities that a world in parts does not have: time passes
// on every machine by itself, and nobody follows a packet from one to another.
var notRemote = []backends.Capability{backends.VirtualTime, backends.PacketTrace, backends.Programs, backends.ServiceState, backends.Impairments, backends.OuterSwitch}

// Facts say what this machine is.
func (x *Executor) Facts() json.RawMessage {
	b, err := encode(x.facts)
	if err != nil {
		return nil // strings and lists of strings only
	}
	return b
}

// Handle carries out one request.
func (x *Executor) Handle(ctx context.Context, body []byte) []byte {
	var req request
	var res response
	if err := json.Unmarshal(body, &req); err != nil {
		res.Fault = codec.FaultOf(fmt.Errorf("a request that cannot be read: %w", err))
	} else {
		if req.Limit > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, req.Limit)
			defer cancel()
		}
		x.mu.Lock()
		res.Fault = codec.FaultOf(x.guarded(ctx, &req, &res))
		if x.part != nil {
			res.Now = x.part.Now()
			x.observed(req.From, &res)
		}
		x.mu.Unlock()
	}
	res.Wall = time.Now().UnixNano()
	out, err := encode(res)
	if err != nil {
		out, _ = encode(response{Fault: codec.FaultOf(err)})
	}
	return out
}

// guarded turns a crash of the local backend into an error: the agent goes on.
func (x *Executor) guarded(ctx context.Context, req *request, res *response) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic on the agent: %v", p)
		}
	}()
	switch req.Op {
	case opClock:
		return nil
	case opWire:
		res.Text = x.local.CheckWire(req.Device)
		return nil
	case opFeatures:
		f, err := x.local.Features(req.Profile)
		res.Features = &f
		return err
	case opOpen:
		return x.open(ctx, req)
	}
	if x.part == nil || req.World != x.world {
		return fmt.Errorf("the agent has no part of world %d", req.World)
	}
	if err := x.trial; err != nil {
		x.trial = nil
		return err
	}
	return x.carryOut(ctx, req, res)
}

func (x *Executor) open(ctx context.Context, req *request) error {
	if x.part != nil {
		x.note("the coordinator left a world behind; it is closed")
		if err := x.close(ctx, nil); err != nil {
			return err
		}
	}
	if req.Config == nil {
		return errors.New("open without a configuration")
	}
	part, err := x.local.OpenPart(ctx, *req.Config, req.Wires)
	if err != nil {
		return err
	}
	x.part, x.world, x.trial, x.stop = part, req.World, nil, make(chan struct{})
	stop := x.stop
	x.serve.Go(func() { x.keepServing(stop) })
	return nil
}

// servedFor is how long the part's own sockets are served before a request can
// get in.
const servedFor = 2 * time.Millisecond

// keepServing lets the part answer other parts while nothing is asked of it.
func (x *Executor) keepServing(stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		x.mu.Lock()
		if x.stop == stop && x.part != nil && x.trial == nil {
			x.trial = x.part.Serve(servedFor)
		}
		x.mu.Unlock()
		time.Sleep(100 * time.Microsecond) // lets a request take the lock
	}
}

func (x *Executor) carryOut(ctx context.Context, req *request, res *response) (err error) {
	p := x.part
	switch {
	case req.Op == opNode && req.Node != nil:
		return p.AddNode(ctx, *req.Node)
	case req.Op == opElsewhere && req.Node != nil:
		return p.Elsewhere(ctx, *req.Node)
	case req.Op == opLink && req.Link != nil:
		return p.SetLink(ctx, *req.Link)
	case req.Op == opHCN && req.HCN != nil:
		op := req.HCN.HCNOp
		op.Body = json.RawMessage(req.HCN.Body)
		r, err := p.HCN(ctx, op)
		res.Result = &codec.HCNAnswer{ID: r.ID, Document: codec.Text(r.Document)}
		return err
	case req.Op == opContainer && req.Container != nil:
		return p.AddContainer(ctx, *req.Container)
	case req.Op == opDo && req.Stimulus != nil:
		out, err := p.Do(ctx, req.Stimulus.Whole())
		o := codec.OutcomeOf(out)
		res.Outcome = &o
		return err
	case req.Op == opAdvance:
		return p.Advance(ctx, req.For)
	case req.Op == opSet && req.Setting != nil:
		return p.Set(ctx, *req.Setting)
	case req.Op == opDump:
		res.Text, err = p.Dump(ctx, req.Text)
		return err
	case req.Op == opSettle:
		res.Busy, err = p.Settle(ctx, req.Brief)
		return err
	case req.Op == opObserve:
		return nil
	case req.Op == opInvariants:
		res.Lines = p.Invariants()
		return nil
	case req.Op == opClose:
		return x.close(ctx, res)
	}
	return fmt.Errorf("the agent does not know the operation %q, or something of it is missing", req.Op)
}

// observed sends what was seen from a position on, as far as it fits.
func (x *Executor) observed(from int, res *response) {
	all := x.part.Observations()
	size := 0
	for i := min(max(from, 0), len(all)); i < len(all); i++ {
		if size += len(all[i].Frame) + 200; size > maxSeen && len(res.Seen) > 0 {
			res.More = true
			return
		}
		res.Seen = append(res.Seen, all[i])
	}
}

// close ends the part; the lock is held and stays so.
func (x *Executor) close(ctx context.Context, res *response) error {
	part := x.part
	x.part = nil
	close(x.stop)
	left, err := part.Close(ctx)
	if res != nil {
		res.Lines = left
	}
	return err
}

// closing is what giving a part back may take when nobody waits for it.
const closing = 30 * time.Second

// End gives back what a run holds.
func (x *Executor) End(run string) {
	x.mu.Lock()
	if x.part != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closing)
		var res response
		err := x.close(ctx, &res)
		cancel()
		if err != nil || len(res.Lines) > 0 {
			x.note(fmt.Sprintf("run %s left something behind: %s %v", run, strings.Join(res.Lines, ", "), err))
		}
	}
	x.mu.Unlock()
	x.serve.Wait()
}

// whole makes a part of a backend whose worlds are the machine itself: its
// wires are its own, and so are its gateways.
type whole struct{ backends.Backend }

func (b whole) OpenPart(ctx context.Context, cfg backends.WorldConfig, _ map[string]string) (backends.Part, error) {
	w, err := b.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &wholePart{World: w}, nil
}

func (whole) CheckWire(string) string { return "" }
func (whole) Ready() string           { return "" }

type wholePart struct {
	backends.World
	told int
}

func (*wholePart) Elsewhere(context.Context, backends.Node) error { return nil }

func (p *wholePart) Settle(context.Context, bool) (bool, error) {
	before := p.told
	p.told = len(p.Observations())
	return p.told > before, nil
}

func (*wholePart) Serve(d time.Duration) error {
	time.Sleep(d)
	return nil
}
