package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/sim/wire"
)

// Shape is the size of a world: so many hosts with so many endpoints each, in one
// overlay network. Every host has a route to the endpoints of every other.
type Shape struct{ Hosts, Each int }

// Shapes are those that are measured when none are asked for: the same packets
// among ten, a thousand and ten thousand endpoints, many on one host or few on
// many.
var Shapes = []Shape{{2, 5}, {1, 1000}, {100, 100}, {1000, 10}}

// Bounds of a shape: a switch has at most 4096 ports.
const (
	maxScaleHosts = 4000
	maxScaleEach  = 4000
)

// ParseShape reads a shape such as 100x10.
func ParseShape(text string) (Shape, error) {
	h, e, ok := strings.Cut(text, "x")
	hosts, err1 := strconv.Atoi(h)
	each, err2 := strconv.Atoi(e)
	if !ok || err1 != nil || err2 != nil || hosts < 1 || hosts > maxScaleHosts || each < 2 || each > maxScaleEach {
		return Shape{}, fmt.Errorf("world %q: expected hosts x endpoints of each, such as 100x10; at most %dx%d, at least 1x2", text, maxScaleHosts, maxScaleEach)
	}
	return Shape{hosts, each}, nil
}

// ScaleConfig says which worlds to build.
type ScaleConfig struct {
	Backend backends.Backend
	World   backends.WorldConfig
	Shapes  []Shape
	Flows   int // of each packet path, spread over its destinations
	Count   int // samples of a packet path
	Sample  time.Duration
	// Progress is told about every world that is done.
	Progress func(done, total int)
}

// Scale builds worlds and measures what their size costs. After an error or when
// ctx ends, what was measured so far is returned with it.
func Scale(ctx context.Context, cfg ScaleConfig) (*reports.Bench, error) {
	out := &reports.Bench{Schema: reports.BenchSchema, Kind: "scale", Backend: cfg.Backend.Name(), Profile: cfg.World.Profile,
		Machine: machine(), Notes: scaleNotes()}
	for i, s := range cfg.Shapes {
		if ctx.Err() != nil {
			out.Interrupted = true
			break
		}
		row, err := cfg.row(ctx, s)
		if err != nil {
			return out, fmt.Errorf("%d hosts with %d endpoints: %w", s.Hosts, s.Each, err)
		}
		out.Scales = append(out.Scales, row)
		if cfg.Progress != nil {
			cfg.Progress(i+1, len(cfg.Shapes))
		}
	}
	return out, nil
}

func scaleNotes() []string {
	return []string{
		"hosts of one overlay network, each with a remote subnet route to every other; an endpoint is made by the five calls of a CNI plugin and a runtime, and its container runs",
		"first, last: time for an endpoint, over the first and the last tenth of them",
		"packets: from one container to all others of its host, and to containers of up to " + strconv.Itoa(maxPeers) + " other hosts, the same number of flows in every world; what they include is said by hnsim bench --kind cost",
		clockName,
	}
}

// maxPeers bounds the hosts that packets go to: each has to be asked for its
// address, of all others, before.
const maxPeers = 64

// world is a world of a shape under measurement.
type scaleWorld struct {
	Shape
	l    *lab
	bits int // prefix length of a host's endpoints
}

func (cfg *ScaleConfig) row(ctx context.Context, s Shape) (row reports.ScaleRow, err error) {
	row = reports.ScaleRow{Hosts: s.Hosts, Endpoints: s.Hosts * s.Each}
	l, err := openLab(ctx, cfg.Backend, cfg.World, wireMTU)
	if err != nil {
		return row, err
	}
	defer l.close()
	w := &scaleWorld{Shape: s, l: l, bits: 30}
	for 1<<(32-w.bits) < s.Each+4 {
		w.bits--
	}
	empty, begun := heap(), cpuTime()
	w.hosts()
	hosts := heap()
	row.HostBytes = (hosts - empty) / float64(s.Hosts)
	var took []time.Duration
	for p := range s.Each {
		for h := range s.Hosts {
			at := cpuTime()
			w.pod(h, p)
			took = append(took, cpuTime()-at)
		}
		if ctx.Err() != nil {
			return row, ctx.Err()
		}
	}
	row.BuildSeconds = (cpuTime() - begun).Seconds()
	if l.err != nil {
		return row, l.err
	}
	row.EndpointBytes = (heap() - hosts) / float64(row.Endpoints)
	tenth := max(1, len(took)/10)
	row.FirstNS, row.LastNS = mean(took[:tenth]), mean(took[len(took)-tenth:])
	for _, p := range w.paths(cfg.Flows) {
		if p.vary.dests < 1 {
			continue
		}
		c, err := cfg.path(ctx, w, p)
		if err != nil {
			return row, fmt.Errorf("%s: %w", p.Name, err)
		}
		row.Paths = append(row.Paths, c)
	}
	return row, nil
}

func mean(list []time.Duration) float64 {
	sum := time.Duration(0)
	for _, d := range list {
		sum += d
	}
	return float64(sum) / float64(len(list))
}

// address of pod p of host h. Number 0 of a host's prefix is the network, 1 the
// gateway.
func (w *scaleWorld) address(h, p int) netip.Addr {
	n := uint32(10)<<24 | 1<<23 + uint32(h)<<(32-w.bits) + uint32(p+2)
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

func (w *scaleWorld) prefix(h int) netip.Prefix {
	return netip.PrefixFrom(w.address(h, 0), w.bits).Masked()
}

func (w *scaleWorld) host(h int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 64, byte((h + 16) >> 8), byte(h + 16)})
}

func (w *scaleWorld) router(h int) string { return fmt.Sprintf("00-15-5D-D0-%02X-%02X", h>>8, h&255) }

// hosts makes the hosts with their networks.
func (w *scaleWorld) hosts() {
	w.l.node(backends.RouterNode, "r", wire.MAC{0, 0, 0x5e, 0, 1, 1}, nil, "10.64.0.1/16", "lan")
	for h := range w.Hosts {
		w.l.node(backends.HostNode, hostName(h), wire.MAC{0, 0x15, 0x5d, 0x82, byte(h >> 8), byte(h)}, nil, w.host(h).String()+"/16", "lan")
	}
	for h := range w.Hosts {
		w.l.network(hostName(h), netName(h), w.network(h))
	}
}

func hostName(h int) string { return "h" + strconv.Itoa(h) }

func netName(h int) string { return "n" + strconv.Itoa(h) }

func podName(h, p int) string { return fmt.Sprintf("h%dp%d", h, p) }

// network is the document of a host's network.
func (w *scaleWorld) network(h int) string {
	var routes strings.Builder
	for o := range w.Hosts {
		if o != h {
			fmt.Fprintf(&routes, `,{"Type":"RemoteSubnetRoute","Settings":{"DestinationPrefix":%q,"IsolationId":4096,"ProviderAddress":%q,"DistributedRouterMacAddress":%q}}`,
				w.prefix(o), w.host(o), w.router(o))
		}
	}
	return fmt.Sprintf(`{%s,"Name":"vx","Type":"Overlay","Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":%q,
		"Policies":[{"Type":"VSID","Settings":{"IsolationId":4096}}],"Routes":[{"NextHop":%q,"DestinationPrefix":"0.0.0.0/0"}]}]}],
		"Policies":[{"Type":"HostRoute","Settings":{}},{"Type":"DrMacAddress","Settings":{"Address":%q}}%s]}`,
		version2, w.prefix(h), w.prefix(h).Addr().Next(), w.router(h), routes.String())
}

func (w *scaleWorld) pod(h, p int) {
	name := podName(h, p)
	w.l.pod(hostName(h), netName(h), name, fmt.Sprintf(`{%s,"Name":%q,"IpConfigurations":[{"IpAddress":%q,"PrefixLength":%d}]}`,
		version2, name, w.address(h, p), w.bits))
}

// paths are the packet paths of a world with so many flows each.
func (w *scaleWorld) paths(flows int) []Path {
	from := podName(0, 0)
	src := netip.AddrPortFrom(w.address(0, 0), 1024)
	peers := min(w.Hosts-1, maxPeers)
	path := func(name string, dst netip.Addr, dests, stride int, c check) Path {
		return Path{Name: name, from: from, src: src, dst: netip.AddrPortFrom(dst, 2000), check: c,
			vary: vary{ports: flows/max(1, dests) + 1, dests: dests, destsFirst: true, stride: stride}}
	}
	return []Path{
		path("l2", w.address(0, 1), w.Each-1, 1, check{dst: w.prefix(0)}),
		path("encap", w.address(1, 0), peers, 1<<(32-w.bits), check{vni: 4096}),
	}
}

// path measures one packet path.
func (cfg *ScaleConfig) path(ctx context.Context, w *scaleWorld, p Path) (reports.ScalePath, error) {
	out := reports.ScalePath{Path: p.Name, Flows: cfg.Flows, Destinations: p.vary.dests}
	var seen []byte
	var err error
	if p.check.vni == 0 {
		seen, err = w.l.template(p.from, p.src, p.dst)
	} else {
		for peer := range p.vary.dests { // neighbours are known before anything is timed
			if seen, err = w.l.template(p.from, p.src, netip.AddrPortFrom(w.address(p.vary.dests-peer, 0), p.dst.Port())); err != nil {
				break
			}
		}
	}
	if err != nil {
		return out, err
	}
	size := []int{minSize}
	t, err := newTemplate(seen, size, p.vary)
	if err != nil {
		return out, err
	}
	u := &unit{lab: w.l, ref: newReference(size), clock: cpuTime}
	defer func() {
		if u.lane != nil {
			u.lane.Close()
		}
	}()
	if err := u.prepare(ctx, &p, load{sizes: size, flows: cfg.Flows, dist: Uniform, seed: 1}, t); err != nil {
		return out, err
	}
	var ns, ref, ratio []float64
	cost := Config{Sample: cfg.Sample}
	n, err := cost.calibrate(team{u})
	if err != nil {
		return out, err
	}
	for range max(1, cfg.Count) {
		_, samples, err := cost.inTurn(team{u}, n, []float64{0})
		if err != nil {
			return out, err
		}
		s := samples[0]
		ns, ref, ratio = append(ns, s.NS), append(ref, s.Reference), append(ratio, s.Ratio())
	}
	out.NS, out.Reference, out.Ratio, out.FlowBytes = median(ns), median(ref), median(ratio), u.flowBytes
	return out, nil
}

// Validate reports what makes no sense.
func (cfg *ScaleConfig) Validate() error {
	switch {
	case len(cfg.Shapes) == 0:
		return errors.New("no world is selected")
	case cfg.Flows < 64 || cfg.Flows > 1_000_000:
		return fmt.Errorf("%d flows: expected 64 to 1,000,000", cfg.Flows)
	}
	return nil
}
