package rest

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hnsim/hnsim/sim/hns"
	"github.com/hnsim/hnsim/sim/standin"
	"github.com/hnsim/hnsim/sim/vfp"
)

// bounds of the histogram of latencies, in seconds.
var bounds = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}

// calls counts calls for the metrics.
type calls struct {
	mu     sync.Mutex
	known  map[string]bool // functions of the DLLs: clients may send any name
	counts map[callKey]uint64
	took   map[string]*histogram // by function
}

type callKey struct{ via, function, hresult string }

type histogram struct {
	buckets [15]uint64 // one more than bounds
	count   uint64
	sum     time.Duration
}

func newCalls() *calls {
	c := &calls{known: map[string]bool{}, counts: map[callKey]uint64{}, took: map[string]*histogram{}}
	for _, f := range standin.Functions() {
		c.known[f] = true
	}
	return c
}

func (c *calls) add(call standin.Call) {
	via, function := call.Via, call.Function
	if via == "" {
		via = "dll"
		if !c.known[function] {
			function = "other"
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[callKey{via, function, call.HResult}]++
	h := c.took[function]
	if h == nil {
		h = &histogram{}
		c.took[function] = h
	}
	at, _ := slices.BinarySearch(bounds, call.Took.Seconds())
	h.buckets[at]++
	h.count++
	h.sum += call.Took
}

// text writes the text format of Prometheus, version 0.0.4.
type text struct{ strings.Builder }

// family begins a metric.
func (t *text) family(name, kind, help string) {
	fmt.Fprintf(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

var escapeLabel = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// sample writes one value; labels are names and values in turn.
func (t *text) sample(name string, value float64, labels ...string) {
	t.WriteString(name)
	for i := 0; i < len(labels); i += 2 {
		sep := byte(',')
		if i == 0 {
			sep = '{'
		}
		t.WriteByte(sep)
		fmt.Fprintf(t, `%s="%s"`, labels[i], escapeLabel.Replace(labels[i+1]))
	}
	if len(labels) > 0 {
		t.WriteByte('}')
	}
	t.WriteString(" " + number(value) + "\n")
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// single is a metric with one sample.
func (t *text) single(name, kind, help string, value float64) {
	t.family(name, kind, help)
	t.sample(name, value)
}

func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) error {
	var t text
	p := s.cfg.World.Profile
	t.family("hnsim_info", "gauge", "What is served: always 1.")
	t.sample("hnsim_info", 1, "profile", p.Name, "hns", p.Version.String(), "os_build", fmt.Sprint(p.OSBuild))
	s.calls.write(&t)
	s.writeServer(&t)
	s.st.Look(func() {
		s.writeObjects(&t)
		s.cfg.Watch.write(&t)
		t.single("hnsim_virtual_time_seconds", "gauge", "Virtual time since the world began.", s.now().Seconds())
	})
	if s.cfg.StateFile != nil {
		st := s.cfg.StateFile()
		t.single("hnsim_state_records_total", "counter", "Changes appended to the state file.", float64(st.Records))
		t.single("hnsim_state_syncs_total", "counter", "Times that the state file was synced.", float64(st.Syncs))
		t.single("hnsim_state_rewrites_total", "counter", "Times that the state file was written anew.", float64(st.Rewrites))
		t.single("hnsim_state_bytes", "gauge", "Length of the state file.", float64(st.Size))
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = io.WriteString(w, t.String())
	return nil
}

func (c *calls) write(t *text) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t.family("hnsim_calls_total", "counter", "Calls by way in, function and HRESULT.")
	keys := slices.SortedFunc(maps.Keys(c.counts), func(a, b callKey) int {
		return cmp.Or(cmp.Compare(a.function, b.function), cmp.Compare(a.via, b.via), cmp.Compare(a.hresult, b.hresult))
	})
	for _, k := range keys {
		t.sample("hnsim_calls_total", float64(c.counts[k]), "via", k.via, "function", k.function, "hresult", k.hresult)
	}
	const name = "hnsim_call_duration_seconds"
	t.family(name, "histogram", "How long calls took, waiting for others and for the disk not included.")
	for _, f := range slices.Sorted(maps.Keys(c.took)) {
		h, sum := c.took[f], uint64(0)
		for i, b := range bounds {
			sum += h.buckets[i]
			t.sample(name+"_bucket", float64(sum), "function", f, "le", number(b))
		}
		t.sample(name+"_bucket", float64(h.count), "function", f, "le", "+Inf")
		t.sample(name+"_sum", h.sum.Seconds(), "function", f)
		t.sample(name+"_count", float64(h.count), "function", f)
	}
}

func (s *Server) writeServer(t *text) {
	st := s.st.Stats()
	t.single("hnsim_connections", "gauge", "Open connections.", float64(st.Connections))
	t.single("hnsim_sessions", "gauge", "Sessions: processes that use the DLLs.", float64(st.Sessions))
	t.single("hnsim_handles", "gauge", "Open handles.", float64(st.Handles))
	t.single("hnsim_handles_leaked_total", "counter", "Handles that sessions left open at their end.", float64(st.Leaked))
	t.single("hnsim_connections_refused_total", "counter", "Connections that were refused.", float64(st.Refused))
}

func (s *Server) writeObjects(t *text) {
	t.family("hnsim_objects", "gauge", "Objects of HNS by host and kind.")
	for _, h := range s.st.Hosts() {
		st := h.HNS.State()
		for _, o := range []struct {
			kind hns.Kind
			n    int
		}{
			{hns.NetworkKind, len(st.Networks)}, {hns.EndpointKind, len(st.Endpoints)}, {hns.NamespaceKind, len(st.Namespaces)},
			{hns.LoadBalancerKind, len(st.LoadBalancers)}, {hns.RouteKind, len(st.Routes)},
		} {
			t.sample("hnsim_objects", float64(o.n), "host", h.Name, "kind", string(o.kind))
		}
	}
}

// write writes what was counted. Reasons that did not occur are left out.
func (w *Watch) write(t *text) {
	t.family("hnsim_packets_total", "counter", "Packets at the IP stacks and on the wires of hosts.")
	for _, k := range slices.SortedFunc(maps.Keys(w.packets), func(a, b packetKey) int {
		return cmp.Or(cmp.Compare(a.host, b.host), cmp.Compare(a.point, b.point), cmp.Compare(a.direction, b.direction))
	}) {
		t.sample("hnsim_packets_total", float64(w.packets[k]), "host", k.host, "point", k.point, "direction", k.direction)
	}
	t.family("hnsim_drops_total", "counter", "Packets that were dropped, by reason (hnsim explain drop REASON).")
	for _, k := range slices.SortedFunc(maps.Keys(w.drops), func(a, b dropKey) int {
		return cmp.Or(cmp.Compare(a.host, b.host), cmp.Compare(a.reason, b.reason))
	}) {
		t.sample("hnsim_drops_total", float64(w.drops[k]), "host", k.host, "reason", vfp.Drop.String(k.reason))
	}
}
