package hns

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gopacket/gopacket/pcapgo"

	"github.com/hnsim/hnsim/backends"
)

// capturer captures the wire of this machine.
type capturer interface {
	start() error
	// take returns what was captured since start or the last take, and goes on.
	take() ([]captured, error)
	// drops are counters of what was dropped, as far as they can be read.
	drops() ([]dropCount, error)
	owns(mac []byte) bool // an address of the adapter
	// discard ends the capture and removes its files.
	discard() error
}

// captured is a frame of the wire.
type captured struct {
	at    time.Time
	frame []byte
}

// observation is the frame as the wire of a node. pktmon's files do not say
// which way a frame went: the source address does, which is one of the node's
// own if it left.
func (c captured) observation(node string, start time.Time, own func(mac []byte) bool) backends.Observation {
	o := backends.Observation{At: c.at.Sub(start), Kind: backends.OnWire, Role: node, Peer: "rx", Frame: c.frame, Where: "pktmon"}
	if len(c.frame) >= 12 && own(c.frame[6:12]) {
		o.Peer = "tx"
	}
	return o
}

// pktmon captures with the tool of that name, which Windows has since build
// 17763, and converts what it wrote with its etl2pcap.
type pktmon struct {
	run       func(args ...string) ([]byte, error)
	folder    string // for its files
	tag       Tag
	component component
	files     int
	running   bool
}

// newPktmon looks whether the wire can be captured. The error says why not.
func newPktmon(run func(args ...string) ([]byte, error), folder string, tag Tag, adapter string) (*pktmon, error) {
	out, err := run("status")
	if err != nil {
		return nil, fmt.Errorf("pktmon does not work here (Windows Server 2019 or later, as administrator): %w", err)
	}
	if capturing(string(out)) {
		return nil, errors.New("pktmon is in use by somebody else: pktmon stop ends that capture")
	}
	if out, err = run("list"); err != nil {
		return nil, fmt.Errorf("pktmon list: %w", err)
	}
	nics := parseComponents(string(out))
	c, err := pick(nics, adapter)
	if err != nil {
		return nil, err
	}
	return &pktmon{run: run, folder: folder, tag: tag, component: c}, nil
}

// capturing reads the answer of pktmon status. Without a capture it is one
// sentence; of a capture it lists the parameters.
func capturing(status string) bool {
	return strings.Contains(status, "Packet Capture") || strings.Contains(status, "Collected data") || strings.Contains(status, "Logger Parameters")
}

// component is something in which pktmon sees packets.
type component struct {
	id   int
	mac  net.HardwareAddr
	name string
}

var componentLine = regexp.MustCompile(`^\s*(\d+)\s+([0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5})\s+(\S.*?)\s*$`)

// parseComponents reads the network adapters in pktmon list: lines of id, MAC
// address and name. Other lines, which are headings and components without
// address, mean nothing here.
func parseComponents(list string) []component {
	var out []component
	for line := range strings.Lines(list) {
		m := componentLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		id, err1 := strconv.Atoi(m[1])
		mac, err2 := net.ParseMAC(m[2])
		if err1 == nil && err2 == nil {
			out = append(out, component{id, mac, m[3]})
		}
	}
	return out
}

// pick chooses the adapter whose wire is captured: the one that is named, or
// the only one that is not virtual.
func pick(nics []component, adapter string) (component, error) {
	var names []string
	var real []component
	for _, c := range nics {
		names = append(names, c.name)
		if adapter != "" && strings.EqualFold(c.name, adapter) {
			return c, nil
		}
		if !strings.HasPrefix(c.name, "vEthernet") && !strings.Contains(c.name, "Virtual Ethernet") {
			real = append(real, c)
		}
	}
	switch {
	case adapter != "":
		return component{}, fmt.Errorf("pktmon knows no adapter %q: there are %s", adapter, strings.Join(names, ", "))
	case len(real) != 1:
		return component{}, fmt.Errorf("pktmon knows %d adapters with a wire (%s): name one with --adapter", len(real), strings.Join(names, ", "))
	}
	return real[0], nil
}

func (p *pktmon) file(ext string) string {
	return filepath.Join(p.folder, fmt.Sprintf("hnsim-%s-%d.%s", p.tag, p.files, ext))
}

// start captures whole frames of the adapter. There are no filters: they would
// be shared with everybody on the machine.
func (p *pktmon) start() error {
	p.files++
	_, err := p.run("start", "--capture", "--pkt-size", "0", "--comp", strconv.Itoa(p.component.id), "--file-name", p.file("etl"))
	if err != nil {
		return fmt.Errorf("pktmon start: %w", err)
	}
	p.running = true
	return nil
}

func (p *pktmon) stop() error {
	if !p.running {
		return nil
	}
	p.running = false
	if _, err := p.run("stop"); err != nil {
		return fmt.Errorf("pktmon stop: %w", err)
	}
	return nil
}

func (p *pktmon) take() ([]captured, error) {
	if err := p.stop(); err != nil {
		return nil, err
	}
	_, err := p.run("etl2pcap", p.file("etl"), "--out", p.file("pcapng"), "--component-id", strconv.Itoa(p.component.id))
	if err != nil {
		return nil, fmt.Errorf("pktmon etl2pcap: %w", err)
	}
	raw, err := os.ReadFile(p.file("pcapng"))
	if err != nil {
		return nil, err
	}
	frames, err := parsePcapng(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.file("pcapng"), err)
	}
	return frames, errors.Join(p.remove(), p.start())
}

func (p *pktmon) remove() error {
	return errors.Join(os.Remove(p.file("etl")), os.Remove(p.file("pcapng")))
}

func (p *pktmon) drops() ([]dropCount, error) {
	out, err := p.run("counters", "--type", "drop", "--json")
	if err != nil {
		return nil, fmt.Errorf("pktmon counters: %w", err)
	}
	return parseDrops(out)
}

// owns reports whether an address is the adapter's.
func (p *pktmon) owns(mac []byte) bool { return bytes.Equal(mac, p.component.mac) }

func (p *pktmon) discard() error {
	err := p.stop()
	for _, ext := range []string{"etl", "pcapng"} {
		if rerr := os.Remove(p.file(ext)); rerr != nil && !errors.Is(rerr, os.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
	}
	return err
}

// maxCaptured bounds what is read of one capture.
const maxCaptured = 1 << 20

// parsePcapng reads the frames of a capture. pktmon sees a frame at every edge
// of a component (entering and leaving): equal frames at the same time, within
// what a frame needs to pass, are one.
func parsePcapng(raw []byte) ([]captured, error) {
	if len(raw) == 0 {
		return nil, nil // nothing was captured
	}
	r, err := pcapgo.NewNgReader(bytes.NewReader(raw), pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
	if err != nil {
		return nil, fmt.Errorf("this is no pcapng: %w", err)
	}
	var out []captured
	for len(out) < maxCaptured {
		data, ci, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		c := captured{ci.Timestamp, data}
		if !slices.ContainsFunc(out[max(0, len(out)-edges):], c.same) {
			out = append(out, c)
		}
	}
	return out, nil
}

// edges is how many frames back a second sight of a frame is looked for, and
// passing how long a frame takes from edge to edge.
const (
	edges   = 16
	passing = 50 * time.Microsecond
)

func (c captured) same(o captured) bool {
	return c.at.Sub(o.at).Abs() <= passing && bytes.Equal(c.frame, o.frame)
}

// dropCount is a counter of dropped packets.
type dropCount struct {
	Component string
	Counter   string
	Packets   uint64
	// Reason is the most recent one: pktmon keeps no other. That makes it a
	// hint, not a result.
	Reason string
}

// parseDrops reads pktmon counters --json. Its members are not documented
// beyond their being groups of components with counters, so that this looks
// for what it needs wherever it stands: names on the way, and objects with a
// reason and a number of packets. What it does not find is no error.
func parseDrops(raw []byte) ([]dropCount, error) {
	var tree any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&tree); err != nil {
		return nil, fmt.Errorf("pktmon counters --json: %w", err)
	}
	var out []dropCount
	walkCounters(tree, nil, &out)
	return out, nil
}

func walkCounters(v any, path []string, out *[]dropCount) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			walkCounters(e, path, out)
		}
	case map[string]any:
		if name := textMember(v, "Name", "Group"); name != "" {
			path = append(slices.Clone(path), name)
		}
		reason := textMember(v, "DropReason", "LastDropReason", "Drop Reason")
		n := packetsOf(v)
		if reason != "" && n > 0 {
			d := dropCount{Packets: n, Reason: reason}
			if len(path) > 0 {
				d.Counter = path[len(path)-1]
			}
			if len(path) > 1 {
				d.Component = path[len(path)-2]
			}
			*out = append(*out, d)
			return
		}
		for _, key := range slices.Sorted(keysOf(v)) {
			walkCounters(v[key], path, out)
		}
	}
}

func keysOf(m map[string]any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// textMember is the first of some members that is a text.
func textMember(m map[string]any, names ...string) string {
	for _, n := range names {
		if s, ok := m[n].(string); ok && s != "" && !strings.EqualFold(s, "none") {
			return s
		}
	}
	return ""
}

// packetsOf is the number of packets in an object, or of both directions in it.
func packetsOf(m map[string]any) (n uint64) {
	for _, name := range []string{"Packets", "Inbound", "Outbound", "Rx", "Tx"} {
		switch v := m[name].(type) {
		case json.Number:
			k, _ := strconv.ParseUint(v.String(), 10, 64)
			n += k
		case map[string]any:
			n += packetsOf(v)
		}
	}
	return n
}
