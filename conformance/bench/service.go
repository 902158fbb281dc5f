package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/conformance/bench/histogram"
	"github.com/hnsim/hnsim/conformance/bench/mlr"
	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/sim/wire"
)

// ServiceConfig says what to offer.
type ServiceConfig struct {
	Backends []backends.Backend // each path on one after the other
	World    backends.WorldConfig
	Paths    []Path // those without a role that counts are left out
	Sizes    []string
	Flows    int

	// RateBps is put on the wire of every host where the backend has links
	// with a rate; 0 leaves them unlimited.
	RateBps            int64
	Min, Max           float64       // frames a second that may be offered
	Initial, Final     time.Duration // of trials; Sum decides about a load
	Sum                time.Duration
	Width, PartialLoss float64
	// Budget of clock time for each path and size; 0 is none.
	Budget   time.Duration
	Progress func(done, total int, r *reports.ServiceRow)
}

// Validate reports what makes no sense.
func (c *ServiceConfig) Validate() error {
	for _, s := range c.Sizes {
		if _, err := parseSize(s); err != nil {
			return err
		}
	}
	if c.Flows < 1 || c.Flows > 4096 {
		return fmt.Errorf("%d flows: expected 1 to 4096 for a service", c.Flows)
	}
	if len(c.paths()) == 0 {
		return errors.New("no selected path is carried to a role that counts: services are measured from end to end")
	}
	s := mlr.Config{Min: c.Min, Max: c.Max, Goals: c.goals()}
	return s.Validate()
}

func (c *ServiceConfig) paths() []Path {
	var out []Path
	for _, p := range c.Paths {
		if len(p.to) > 0 {
			out = append(out, p)
		}
	}
	return out
}

func (c *ServiceConfig) goals() []mlr.Goal {
	g := mlr.Goal{Name: "NDR", ExceedRatio: 0.5, Initial: c.Initial, Final: c.Final, Sum: c.Sum, Width: c.Width}
	p := g
	p.Name, p.LossRatio = "PDR", c.PartialLoss
	return []mlr.Goal{g, p}
}

// shares of the PDR at which latency is measured.
var shares = []float64{0.1, 0.5, 0.9}

// Service searches for the rates that paths carry. A path that cannot be
// measured does not keep the others from it.
func Service(ctx context.Context, cfg ServiceConfig) (*reports.Bench, error) {
	out := &reports.Bench{Schema: reports.BenchSchema, Kind: "service", Profile: cfg.World.Profile, Machine: machine(), Notes: cfg.notes()}
	var jobs []job
	for _, p := range cfg.paths() {
		for _, size := range cfg.Sizes {
			for _, b := range cfg.Backends {
				jobs = append(jobs, job{b, p, size})
			}
		}
	}
	var names []string
	for _, b := range cfg.Backends {
		names = append(names, b.Name())
	}
	out.Backend = strings.Join(names, ",")
	said := map[string]bool{}
	for i, j := range jobs {
		row, offers, err := cfg.row(ctx, &j)
		if ctx.Err() != nil {
			out.Interrupted = true
			break
		}
		if err != nil {
			row.Error = err.Error() // the other paths have worlds of their own
		}
		out.Services = append(out.Services, row)
		if offers != "" && !said[row.Backend] {
			said[row.Backend] = true
			out.Notes = append(out.Notes, row.Backend+": "+offers)
		}
		if cfg.Progress != nil {
			cfg.Progress(i+1, len(jobs), &row)
		}
	}
	return out, nil
}

// job is one row.
type job struct {
	backend backends.Backend
	path    Path
	size    string
}

func (c *ServiceConfig) notes() []string {
	notes := []string{
		fmt.Sprintf("search: RFC 9971 with exceed ratio 0.5, final trials of %v, %v of them for each load, width %.1f%%; NDR loses nothing, PDR at most %.1f%%; frames that the sender could not send count as lost", c.Final, c.Sum, 100*c.Width, 100*c.PartialLoss),
	}
	if c.RateBps > 0 {
		notes = append(notes, fmt.Sprintf("the wire of every host has %.0f Mbit/s where the backend has links with a rate", float64(c.RateBps)/1e6))
	}
	return notes
}

// row measures one path with one size.
func (c *ServiceConfig) row(ctx context.Context, j *job) (reports.ServiceRow, string, error) {
	row := reports.ServiceRow{Backend: j.backend.Name(), Path: j.path.Name, Size: j.size, Flows: c.Flows, Loss: c.PartialLoss}
	begun := time.Now()
	d, err := c.open(ctx, j)
	var lacks *backends.UnsupportedError
	if errors.As(err, &lacks) {
		row.Skipped = lacks.Error()
		return row, "", nil
	}
	if err != nil {
		return row, "", err
	}
	defer d.lab.close()
	search := mlr.Config{Min: c.Min, Max: c.Max, Goals: c.goals()}
	if c.Budget > 0 {
		search.Stop = func() string {
			if time.Since(begun) > c.Budget*8/10 { // the rest is for latencies
				return fmt.Sprintf("the budget of %v was used up", c.Budget)
			}
			return ""
		}
	}
	got, trials, err := mlr.Search(ctx, search, d.measure)
	row.Trials = trials
	if err != nil && ctx.Err() == nil {
		return row, "", err
	}
	row.NDR, row.PDR = rate(got[0]), rate(got[1])
	row.Note = d.note()
	if row.PDR.Load > 0 {
		if row.Latency, err = d.latencies(ctx, row.PDR.Load, c.Final); err != nil && ctx.Err() == nil {
			return row, "", err
		}
	}
	row.Took = time.Since(begun).Seconds()
	return row, d.w.Offers(), nil
}

func rate(r mlr.Result) reports.ServiceRate {
	return reports.ServiceRate{Load: r.Lower, Upper: r.Upper, Rate: r.Throughput, Complete: r.Complete, Why: r.Why}
}

// device is a path under load.
type device struct {
	lab    *lab
	w      backends.Offerer
	p      *Path
	frames [][]byte
	unsent bool // a trial could not offer what it should, and lost nothing else
}

// serviceMTU of the wires: frames of Ethernet's size fit, in a tunnel too.
const serviceMTU = 9000

func (c *ServiceConfig) open(ctx context.Context, j *job) (_ *device, err error) {
	p := &j.path
	sizes, err := parseSize(j.size)
	if err != nil {
		return nil, err
	}
	l, err := openLab(ctx, j.backend, c.World, serviceMTU)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	o, ok := l.w.(backends.Offerer)
	if !ok {
		return nil, &backends.UnsupportedError{Msg: "the backend offers no load at a rate"}
	}
	p.build(l)
	seen, err := l.template(p.from, p.src, p.dst)
	if err != nil {
		return nil, err
	}
	if c.RateBps > 0 {
		for _, h := range []string{"h1", "h2"} {
			if err := l.w.SetLink(ctx, backends.Link{Node: h, RateBps: c.RateBps}); err != nil && !optional(err) {
				return nil, err
			}
		}
	}
	d := &device{lab: l, w: o, p: p}
	if d.frames, err = offered(seen, sizes, c.Flows, p.vary); err != nil {
		return nil, err
	}
	return d, d.warm(ctx)
}

// optional says that the path can do without: the backend has no such link, or
// the world no such host.
func optional(err error) bool {
	var lacks *backends.UnsupportedError
	var usage *backends.UsageError
	return errors.As(err, &lacks) || errors.As(err, &usage)
}

// offered are the frames of a load, without UDP checksums: their payload
// changes with every frame.
func offered(seen []byte, sizes []int, flows int, v vary) ([][]byte, error) {
	t, err := newTemplate(seen, sizes, v)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for i := range flows * len(sizes) {
		size := sizes[i%len(sizes)]
		frame := make([]byte, size)
		copy(frame, t.frames[size])
		t.head(frame, i%flows, size)
		var m wire.Meta
		wire.Parse(frame, &m)
		const checksumAt = 6
		frame[m.L4+checksumAt], frame[m.L4+checksumAt+1] = 0, 0
		out = append(out, frame)
	}
	return out, nil
}

// warm makes all flows known, slowly: what nobody loses at any speed must
// arrive.
func (d *device) warm(ctx context.Context) error {
	n := max(2*len(d.frames), 64)
	const slow = 2000
	got, err := d.offer(ctx, slow, time.Duration(float64(n)/slow*float64(time.Second)))
	if err != nil {
		return err
	}
	if got.Received == 0 {
		return fmt.Errorf("of %d frames at %d a second none reached %s", got.Sent, slow, strings.Join(d.p.to, " or "))
	}
	return nil
}

func (d *device) offer(ctx context.Context, rate float64, dur time.Duration) (backends.Delivery, error) {
	return d.w.Offer(ctx, backends.Load{From: d.p.from, To: d.p.to, Frames: d.frames, Rate: rate, For: dur})
}

// measure is one trial of the search.
func (d *device) measure(ctx context.Context, load float64, dur time.Duration) (float64, error) {
	got, err := d.offer(ctx, load, dur)
	if err != nil {
		return 0, err
	}
	intended := float64(uint64(load * dur.Seconds()))
	if float64(got.Sent) < intended && got.Loss() == 0 {
		d.unsent = true
	}
	return 1 - float64(got.Received-got.Twice)/max(intended, float64(got.Sent), 1), nil
}

func (d *device) note() string {
	if d.unsent {
		return "at the upper bound the sender itself could not keep up, and nothing that it sent was lost"
	}
	return ""
}

// latencies measures at the shares of a load.
func (d *device) latencies(ctx context.Context, load float64, dur time.Duration) ([]reports.ServiceLatency, error) {
	var out []reports.ServiceLatency
	for _, share := range shares {
		got, err := d.offer(ctx, share*load, dur)
		if err != nil {
			return out, err
		}
		var h histogram.Log
		for _, l := range got.Latency {
			h.Add(float64(l))
		}
		out = append(out, reports.ServiceLatency{Share: share, P50: h.Percentile(0.5), P90: h.Percentile(0.9), P99: h.Percentile(0.99),
			P999: h.Percentile(0.999), Max: h.Max(), Count: h.Count()})
	}
	return out, nil
}
