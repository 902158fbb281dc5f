package reports

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// BenchSchema is the version of a benchmark's JSON form.
const BenchSchema = 1

// Bench is the result of a benchmark. Every sample is kept, so that a later run
// can be compared with it.
type Bench struct {
	Schema      int          `json:"schema"`
	Tool        string       `json:"tool"`
	Version     string       `json:"version"`
	Kind        string       `json:"kind"` // "cost", "service" or "scale": they never share a table
	Backend     string       `json:"backend"`
	Profile     string       `json:"profile"`
	Machine     BenchMachine `json:"machine"`
	Notes       []string     `json:"notes,omitempty"` // what the figures include, what could not be measured
	Cells       []BenchCell  `json:"cells,omitempty"`
	Services    []ServiceRow `json:"services,omitempty"`
	Scales      []ScaleRow   `json:"scales,omitempty"`
	Verdict     BenchVerdict `json:"verdict,omitempty"` // of a gate; empty without one
	SelfTest    bool         `json:"selfTest,omitempty"`
	Interrupted bool         `json:"interrupted,omitempty"`
}

// BenchMachine is where it was measured.
type BenchMachine struct {
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	CPU     string `json:"cpu,omitempty"`
	Cores   int    `json:"cores"`
	Runtime string `json:"runtime"`
	Cycles  string `json:"cycles"` // "counted", or why there are none
}

// BenchPath describes a path that can be measured.
type BenchPath struct {
	Name      string `json:"name"`
	About     string `json:"about"`
	Limit     string `json:"limit,omitempty"` // row of the C limit
	MostFlows int    `json:"mostFlows"`
	Service   bool   `json:"service"` // at an offered rate, too
}

// BenchCell is one path under one kind of traffic. Times are nanoseconds;
// figures without a name of their own are medians over the samples.
type BenchCell struct {
	Path    string `json:"path"`
	Size    string `json:"size"` // bytes of a frame without FCS, or "imix"
	Flows   int    `json:"flows"`
	Dist    string `json:"dist"` // "uniform" or "zipf"
	Trace   bool   `json:"trace,omitempty"`
	Workers int    `json:"workers"`
	First   bool   `json:"first,omitempty"` // every packet opens a flow
	Skipped string `json:"skipped,omitempty"`
	Error   string `json:"error,omitempty"` // of the path or the harness: nothing was measured

	Samples []BenchSample `json:"samples,omitempty"`
	Packets int           `json:"packets,omitempty"` // of one sample

	NS        float64 `json:"ns,omitempty"`     // per packet and worker
	Cycles    float64 `json:"cycles,omitempty"` // per packet; 0: not counted
	MPPS      float64 `json:"mpps,omitempty"`   // of all workers
	Reference float64 `json:"reference,omitempty"`
	Ratio     float64 `json:"ratio,omitempty"` // of time to that of the reference loop
	Limit     float64 `json:"limit,omitempty"` // the C limit's same row; 0: not measured
	P50       float64 `json:"p50,omitempty"`   // of a batch of 64
	P99       float64 `json:"p99,omitempty"`
	P999      float64 `json:"p999,omitempty"`
	Allocs    float64 `json:"allocs"` // per packet
	FlowBytes float64 `json:"flowBytes,omitempty"`

	Gate *BenchGate `json:"gate,omitempty"`
}

// BenchSample is one measurement and the reference loop right behind it.
type BenchSample struct {
	NS        float64 `json:"ns"`
	Reference float64 `json:"reference"`
}

// Ratio of the two.
func (s BenchSample) Ratio() float64 { return s.NS / s.Reference }

// BenchVerdict is the outcome of a gate.
type BenchVerdict string

const (
	BenchSame         BenchVerdict = "same"
	BenchFaster       BenchVerdict = "faster"
	BenchSlower       BenchVerdict = "slower"
	BenchInconclusive BenchVerdict = "inconclusive"
)

// BenchGate is the comparison of a cell with its baseline. Shares are of time:
// 0.1 is ten per cent slower.
type BenchGate struct {
	Verdict   BenchVerdict `json:"verdict"`
	Effect    float64      `json:"effect"`
	Floor     float64      `json:"floor"`
	Threshold float64      `json:"threshold"`
	Pairs     int          `json:"pairs"`
	Slower    int          `json:"slower"` // pairs in which it was slower
	Allocs    float64      `json:"allocs"` // per packet, more than the baseline's
	Why       string       `json:"why,omitempty"`
}

// Name is the cell's identity: equal names are compared with each other. It has
// the form of a Go benchmark's.
func (c *BenchCell) Name() string {
	s := fmt.Sprintf("%s/size=%s/flows=%d/dist=%s", c.Path, c.Size, c.Flows, c.Dist)
	if c.Trace {
		s += "/trace=on"
	}
	if c.Workers != 1 {
		s += fmt.Sprintf("/workers=%d", c.Workers)
	}
	return s
}

// Remark is why there are no figures, or empty.
func (c *BenchCell) Remark() string {
	switch {
	case c.Error != "":
		return "could not be measured: " + c.Error
	case c.Skipped != "":
		return "not measured: " + c.Skipped
	}
	return ""
}

// ServiceRow is what a path carries at an offered rate. Rates are frames a
// second, times nanoseconds.
type ServiceRow struct {
	Backend string           `json:"backend"`
	Path    string           `json:"path"`
	Size    string           `json:"size"`
	Flows   int              `json:"flows"`
	NDR     ServiceRate      `json:"ndr"` // no frame lost
	PDR     ServiceRate      `json:"pdr"` // at most the share of ServiceRow.PartialLoss
	Loss    float64          `json:"partialLoss"`
	Trials  int              `json:"trials"`
	Took    float64          `json:"seconds"` // of the clock
	Latency []ServiceLatency `json:"latency,omitempty"`
	Note    string           `json:"note,omitempty"`
	Skipped string           `json:"skipped,omitempty"`
	Error   string           `json:"error,omitempty"` // of the harness: nothing was measured
}

// ScaleRow is what the size of a world costs. Bytes are of the heap.
type ScaleRow struct {
	Hosts         int     `json:"hosts"`
	Endpoints     int     `json:"endpoints"`
	BuildSeconds  float64 `json:"buildSeconds"` // of hosts, networks and endpoints
	FirstNS       float64 `json:"firstNs"`      // for an endpoint, of the first tenth
	LastNS        float64 `json:"lastNs"`       // of the last tenth
	HostBytes     float64 `json:"hostBytes"`    // of a host with its network
	EndpointBytes float64 `json:"endpointBytes"`
	// Paths are packets between endpoints of the world.
	Paths []ScalePath `json:"paths,omitempty"`
}

// ScalePath is the cost of a packet in a world.
type ScalePath struct {
	Path         string  `json:"path"`
	Flows        int     `json:"flows"`
	Destinations int     `json:"destinations"` // endpoints, or hosts, that the flows go to
	NS           float64 `json:"ns"`
	Reference    float64 `json:"reference"`
	Ratio        float64 `json:"ratio"` // to the reference loop
	FlowBytes    float64 `json:"flowBytes,omitempty"`
}

// ServiceRate is the result of a search.
type ServiceRate struct {
	Load     float64 `json:"load"`     // relevant lower bound, offered
	Upper    float64 `json:"upper"`    // relevant upper bound; 0: none found below the most that was offered
	Rate     float64 `json:"rate"`     // conditional throughput, forwarded
	Complete bool    `json:"complete"` // the bounds are as near as the goal asks
	Why      string  `json:"why,omitempty"`
}

// ServiceLatency is the distribution at a share of the PDR.
type ServiceLatency struct {
	Share float64 `json:"share"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
	Count uint64  `json:"count"`
}

// Remarks are what must be known to read the row.
func (s ServiceRow) Remarks() []string {
	var out []string
	for _, r := range []struct{ name, why string }{{"", s.Skipped}, {"could not be measured: ", s.Error}, {"NDR: ", s.NDR.Why}, {"PDR: ", s.PDR.Why}, {"", s.Note}} {
		if r.why != "" {
			out = append(out, r.name+r.why)
		}
	}
	return out
}

// Encode is the benchmark as JSON, as ReadBench reads it.
func (b *Bench) Encode() ([]byte, error) {
	text, err := json.MarshalIndent(b, "", "  ")
	return append(text, '\n'), err
}

// maxBenchFile bounds a baseline: a thousand cells with a thousand samples.
const maxBenchFile = 64 << 20

// ReadBench reads what Encode made. name is for messages.
func ReadBench(r io.Reader, name string) (*Bench, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxBenchFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(text) > maxBenchFile {
		return nil, fmt.Errorf("%s: more than %d bytes: no benchmark is so large", name, maxBenchFile)
	}
	var b Bench
	if err := json.Unmarshal(text, &b); err != nil {
		return nil, fmt.Errorf("%s: %w; expected what hnsim bench --format json prints", name, err)
	}
	if b.Schema != BenchSchema {
		return nil, fmt.Errorf("%s: schema %d; expected %d, as hnsim bench --format json prints", name, b.Schema, BenchSchema)
	}
	for i := range b.Cells {
		if c := &b.Cells[i]; !(c.NS >= 0 && c.Limit >= 0) {
			return nil, fmt.Errorf("%s: cells[%d]: times are %v and %v; expected none below zero", name, i, c.NS, c.Limit)
		}
		for k, s := range b.Cells[i].Samples {
			if !(s.NS > 0 && s.Reference > 0) {
				return nil, fmt.Errorf("%s: cells[%d].samples[%d]: times are %v and %v; expected positive numbers", name, i, k, s.NS, s.Reference)
			}
		}
	}
	return &b, nil
}

// Cell is the cell of that name, or nil.
func (b *Bench) Cell(name string) *BenchCell {
	i := slices.IndexFunc(b.Cells, func(c BenchCell) bool { return c.Name() == name })
	if i < 0 {
		return nil
	}
	return &b.Cells[i]
}

// WriteBenchstat writes the samples in the format of Go benchmarks, for
// benchstat and everything else that reads it.
func (b *Bench) WriteBenchstat(w io.Writer) error {
	var t strings.Builder
	fmt.Fprintf(&t, "goos: %s\ngoarch: %s\npkg: github.com/hnsim/hnsim\n", b.Machine.OS, b.Machine.Arch)
	if b.Machine.CPU != "" {
		fmt.Fprintf(&t, "cpu: %s\n", b.Machine.CPU)
	}
	fmt.Fprintf(&t, "hnsim-version: %s\nhnsim-kind: %s\nhnsim-backend: %s\nhnsim-profile: %s\n", orDash(b.Version), b.Kind, b.Backend, b.Profile)
	for i := range b.Cells {
		c := &b.Cells[i]
		for _, s := range c.Samples {
			fmt.Fprintf(&t, "Benchmark%s %d %.4f ns/packet %.4f x-reference %.6f allocs/packet", benchName(c.Name()), c.Packets, s.NS, s.Ratio(), c.Allocs)
			if c.Cycles > 0 {
				fmt.Fprintf(&t, " %.2f cycles/packet", c.Cycles)
			}
			t.WriteByte('\n')
		}
	}
	for i := range b.Services {
		s := &b.Services[i]
		if s.Skipped+s.Error != "" {
			continue
		}
		fmt.Fprintf(&t, "Benchmark%s %d %.1f ndr-packets/s %.1f pdr-packets/s", benchName(fmt.Sprintf("%s/size=%s/flows=%d/kind=service/backend=%s", s.Path, s.Size, s.Flows, orDash(s.Backend))), s.Trials, s.NDR.Rate, s.PDR.Rate)
		for _, l := range s.Latency {
			fmt.Fprintf(&t, " %.1f p99@%g%%-ns", l.P99, l.Share*100)
		}
		t.WriteByte('\n')
	}
	_, err := io.WriteString(w, t.String())
	return err
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// benchName makes the first letter a capital: that of a Go benchmark must be
// no small letter.
func benchName(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
