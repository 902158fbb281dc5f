package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Handler is what an agent does. Handle and End are called from one goroutine,
// never at the same time.
type Handler interface {
	// Facts say what this machine is and can, as JSON. It may be called
	// concurrently with everything else.
	Facts() json.RawMessage
	// Handle carries out a request of a run. ctx ends with the run.
	Handle(ctx context.Context, body []byte) []byte
	// End gives back everything that a run holds.
	End(run string)
}

// AgentConfig is what an agent needs.
type AgentConfig struct {
	Coordinator string // host:port
	Identity    *Identity
	Dir         string // the identity's folder, for messages
	Version     string
	Handler     Handler
	Note        func(string)
}

// agent is the other end of a Hub.
type agent struct {
	AgentConfig
	nc   *nats.Conn
	life string
	work chan *nats.Msg
	wake chan struct{} // the run has changed
	bad  chan error    // why there is no use in going on

	mu       sync.Mutex
	run      string
	patience time.Duration
	runCtx   context.Context
	endRun   context.CancelFunc
	over     []string  // runs that the handler has not ended yet
	away     time.Time // since when there is no connection; zero: there is
	seq      uint64    // of the last request
	busy     bool      // with it
	reply    []byte    // to it
	counts   Counts
}

const (
	retryEvery  = 300 * time.Millisecond
	helloEvery  = time.Second
	beatsInTime = 8 // signs of life within the coordinator's patience
)

// ServeAgent connects to the coordinator, again and again, and carries out what
// it asks for, until ctx ends. A *Refused is final.
func ServeAgent(ctx context.Context, cfg AgentConfig) error {
	a := &agent{AgentConfig: cfg, life: randomID(), work: make(chan *nats.Msg, maxRequests), wake: make(chan struct{}, 1), bad: make(chan error, 1)}
	if err := a.connect(ctx); err != nil {
		return err
	}
	defer a.nc.Close()
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { a.talk(ctx) })
	var err error
	wg.Go(func() {
		defer cancel()
		err = a.carryOut(ctx)
	})
	wg.Wait()
	return err
}

// connect waits for the coordinator, which is there only while something runs.
func (a *agent) connect(ctx context.Context) error {
	said := ""
	for {
		if over, when := a.Identity.Expired(time.Now()); over {
			return refused("the certificate of agent %s ended on %s: remove %s and join again with a token", a.Identity.Name, when.UTC().Format(time.RFC3339), a.Dir)
		}
		err := a.dial()
		if err == nil {
			a.Note(fmt.Sprintf("connected to %s as %s", a.Coordinator, a.Identity.Name))
			return nil
		}
		if final := describe(err, a.Coordinator, a.Dir); final != nil {
			return final
		}
		if text := err.Error(); text != said {
			said = text
			a.Note(fmt.Sprintf("waiting for the coordinator at %s: %v", a.Coordinator, err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryEvery):
		}
	}
}

func (a *agent) dial() error {
	nc, err := nats.Connect("tls://"+a.Coordinator, nats.Name(a.Identity.Name), nats.Secure(a.Identity.clientTLS()),
		nats.Timeout(5*time.Second), nats.MaxReconnects(-1), nats.ReconnectWait(retryEvery), nats.ReconnectJitter(retryEvery/3, retryEvery/3),
		nats.ReconnectBufSize(reconnectRoom), nats.PingInterval(2*time.Second), nats.MaxPingsOutstanding(3), nats.IgnoreDiscoveredServers(),
		nats.DisconnectErrHandler(func(*nats.Conn, error) { a.setAway(time.Now()) }),
		nats.ReconnectHandler(func(*nats.Conn) { a.setAway(time.Time{}) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { a.give(describe(err, a.Coordinator, a.Dir)) }))
	if err != nil {
		return err
	}
	a.nc = nc
	name := a.Identity.Name
	for subj, f := range map[string]nats.MsgHandler{
		subjectWelcome + name:      a.onWelcome,
		subject("*", "call", name): a.onCall,
		subject("*", "end", name):  a.onEnd,
	} {
		sub, err := nc.Subscribe(subj, f)
		if err == nil {
			err = sub.SetPendingLimits(maxMessages, maxPending)
		}
		if err != nil {
			nc.Close()
			return err
		}
	}
	return nil
}

// give ends the agent, if there is a reason.
func (a *agent) give(err error) {
	if err == nil {
		return
	}
	select {
	case a.bad <- err:
	default:
	}
}

func (a *agent) setAway(since time.Time) {
	a.mu.Lock()
	a.away = since
	if since.IsZero() {
		a.counts.Reconnects++
	}
	a.mu.Unlock()
	a.poke()
}

func (a *agent) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// talk says hello until there is a run, gives signs of life while there is one,
// and ends it when the coordinator is away for too long.
func (a *agent) talk(ctx context.Context) {
	a.hello()
	lastHello := time.Now()
	for every := retryEvery; ; {
		select {
		case <-ctx.Done():
			a.begin("", 0) // ends what the handler is at
			return
		case <-time.After(every):
		}
		a.mu.Lock()
		run, patience, away, counts := a.run, a.patience, a.away, a.counts
		a.mu.Unlock()
		switch {
		case run != "" && !away.IsZero() && time.Since(away) > patience:
			a.Note("the coordinator is gone")
			a.begin("", 0)
		case run != "":
			every = max(patience/beatsInTime, 10*time.Millisecond)
			a.beat(run, counts)
		default:
			every = retryEvery
		}
		// Also within a run: after a reconnection the coordinator may be
		// another one.
		if time.Since(lastHello) >= helloEvery {
			lastHello = time.Now()
			a.hello()
		}
	}
}

func (a *agent) beat(run string, counts Counts) {
	if body, err := json.Marshal(counts); err == nil {
		_ = a.nc.PublishMsg(message(subject(run, "beat", a.Identity.Name), run, a.life, 0, body)) // the next one follows
	}
}

func (a *agent) hello() {
	a.mu.Lock()
	connects := a.counts.Reconnects
	a.mu.Unlock()
	body, err := json.Marshal(hello{Protocol, a.Version, a.life, connects, a.Handler.Facts()})
	if err == nil && a.nc.IsConnected() {
		_ = a.nc.Publish(subjectHello+a.Identity.Name, body) // said again and again
	}
}

func (a *agent) onWelcome(m *nats.Msg) {
	var w welcome
	if json.Unmarshal(m.Data, &w) != nil || w.Life != a.life {
		return
	}
	if w.Refused != "" {
		a.give(&Refused{w.Refused})
		return
	}
	a.mu.Lock()
	known, counts := w.Run == a.run, a.counts
	a.mu.Unlock()
	if !known {
		a.Note("run " + w.Run + " begins")
		a.begin(w.Run, w.PatienceNs)
		a.beat(w.Run, counts)
	}
}

// begin changes the run. What the old one holds is given back before anything
// of the new one is carried out.
func (a *agent) begin(run string, patience time.Duration) {
	a.mu.Lock()
	if a.run != "" {
		a.over = append(a.over, a.run)
		a.endRun()
	}
	a.run, a.patience, a.seq, a.busy, a.reply = run, patience, 0, false, nil
	a.runCtx, a.endRun = context.WithCancel(context.Background())
	a.mu.Unlock()
	a.poke()
}

func (a *agent) onEnd(m *nats.Msg) {
	a.mu.Lock()
	mine := a.run != "" && m.Header.Get(headerRun) == a.run
	if !mine {
		a.counts.Stale++
	}
	run := a.run
	a.mu.Unlock()
	if mine {
		a.Note("run " + run + " is over")
		a.begin("", 0)
	}
}

// onCall queues a request, unless it is stale, known or too many wait.
func (a *agent) onCall(m *nats.Msg) {
	a.mu.Lock()
	defer a.mu.Unlock()
	run, seq := m.Header.Get(headerRun), seqOf(m)
	part := strings.Split(m.Subject, ".")
	switch {
	case run == "" || run != a.run || part[2] != run || m.Header.Get(headerLife) != a.life || seq < a.seq || seq == 0:
		a.counts.Stale++
	case seq == a.seq:
		a.counts.Repeated++
		if !a.busy {
			a.answer(run, seq, a.reply)
		}
	default:
		select {
		case a.work <- m:
			a.seq, a.busy, a.reply = seq, true, nil
		default:
			a.counts.Dropped++
		}
	}
}

func (a *agent) answer(run string, seq uint64, body []byte) {
	_ = a.nc.PublishMsg(message(subject(run, "reply", a.Identity.Name), run, a.life, seq, body)) // the request comes again
}

// carryOut is the goroutine that calls the handler.
func (a *agent) carryOut(ctx context.Context) error {
	defer func() {
		a.begin("", 0) // if it ends by itself
		a.endOld()
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-a.bad:
			return err
		case <-a.wake:
			a.endOld()
		case m := <-a.work:
			a.endOld()
			a.carry(m)
		}
	}
}

func (a *agent) carry(m *nats.Msg) {
	run, seq := m.Header.Get(headerRun), seqOf(m)
	a.mu.Lock()
	runCtx := a.runCtx
	current := run == a.run
	if !current {
		a.counts.Stale++
	}
	a.mu.Unlock()
	if !current {
		return
	}
	body := a.Handler.Handle(runCtx, m.Data)
	a.mu.Lock()
	defer a.mu.Unlock()
	if run != a.run {
		a.counts.Stale++
		return
	}
	if seq == a.seq {
		a.busy, a.reply = false, body
	}
	a.answer(run, seq, body)
}

// endOld lets the handler end the runs that are over.
func (a *agent) endOld() {
	a.mu.Lock()
	over := a.over
	a.over = nil
	a.mu.Unlock()
	for _, run := range over {
		a.Handler.End(run)
	}
}

// Stopped reports whether an agent ended because it was told to.
func Stopped(err error) bool { return errors.Is(err, context.Canceled) }
