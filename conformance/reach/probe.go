package reach

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hnsim/hnsim/backends"
)

// Port is a protocol with a port, or ICMP echo without one.
type Port struct {
	Proto  string `json:"protocol"` // "tcp", "udp", "icmp"
	Number uint16 `json:"port,omitempty"`
}

func (p Port) String() string {
	if p.Proto == "icmp" {
		return p.Proto
	}
	return fmt.Sprintf("%s:%d", p.Proto, p.Number)
}

// ParsePort reads "tcp:80", "udp:53" or "icmp".
func ParsePort(text string) (Port, error) {
	proto, number, has := strings.Cut(text, ":")
	if text == "icmp" {
		return Port{Proto: "icmp"}, nil
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if !has || proto != "tcp" && proto != "udp" || err != nil || n == 0 {
		return Port{}, fmt.Errorf("port %q: expected tcp:PORT, udp:PORT or icmp", text)
	}
	return Port{proto, uint16(n)}, nil
}

// answer is what probes get back, and udpSource where datagrams come from.
const (
	answer    = "hnsim reach"
	udpSource = 40321
	patience  = 3 * time.Second
)

// attempt is one cell under way.
type attempt struct {
	w        *spy
	from, to *Place
	addr     netip.Addr
	port     Port
}

// outcome of a cell.
type outcome struct {
	open           bool
	reason, where  string // of the drop that decided, if there was one
	rule, citation string // of the rule, if a rule decided
	detail         string // what the sender saw
}

// serve lets whoever may be at the other end answer.
func serve(ctx context.Context, w *spy, ports map[string]bool) error {
	for _, p := range w.places {
		if !p.sends() && p.Kind != Router {
			continue
		}
		for text := range ports {
			port, err := ParsePort(text)
			if err != nil || port.Proto == "icmp" {
				continue
			}
			// A port that is taken, or a container that is not running, shows
			// in the cell.
			_, err = w.Do(ctx, backends.Stimulus{Kind: backends.Listen, Role: p.Name, Proto: port.Proto,
				Src: netip.AddrPortFrom(netip.Addr{}, port.Number), Reply: []byte(answer)})
			if err := unlessUsage(err); err != nil {
				return err
			}
		}
	}
	return nil
}

// unlessUsage passes on trouble of the harness only: that a container has no
// stack is an answer.
func unlessUsage(err error) error {
	if _, ok := err.(*backends.UsageError); ok {
		return nil
	}
	return err
}

// run tries the cell.
func (a *attempt) run(ctx context.Context) (outcome, error) {
	before := len(a.w.Observations())
	s := backends.Stimulus{Role: a.from.Name, Timeout: patience, Dst: netip.AddrPortFrom(a.addr, a.port.Number)}
	switch a.port.Proto {
	case "icmp":
		s.Kind, s.Dst = backends.Ping, netip.AddrPortFrom(a.addr, 0)
	case "tcp":
		s.Kind, s.Proto, s.Payload = backends.TCPConnect, "tcp", []byte("?")
	default:
		s.Kind, s.Proto, s.Payload = backends.SendPacket, "udp", []byte("?")
		s.Src = netip.AddrPortFrom(netip.Addr{}, udpSource)
	}
	out, err := a.w.Do(ctx, s)
	if err := unlessUsage(err); err != nil {
		return outcome{}, err
	}
	if err != nil {
		return outcome{detail: err.Error()}, nil
	}
	seen := a.w.Observations()[before:]
	o := outcome{open: out.OK, detail: out.Detail}
	if a.port.Proto == "udp" {
		o.open = false
		for i := range seen {
			if seen[i].Kind == backends.Received && seen[i].Role == a.from.Name && bytes.Contains(seen[i].Frame, []byte(answer)) {
				o.open = true
			}
		}
	}
	if !o.open {
		a.decide(&o, seen, out.ID)
	}
	return o, nil
}

// decide finds the drop that kept the cell closed: the first one of the
// packet that was sent, else the first one at all, which may be the answer's.
func (a *attempt) decide(o *outcome, seen []backends.Observation, id uint64) {
	var first *backends.Observation
	for i := range seen {
		d := &seen[i]
		if d.Kind != backends.DroppedAt {
			continue
		}
		if first == nil || d.ID == id && first.ID != id {
			first = d
		}
	}
	if first == nil {
		return
	}
	o.reason, o.where = first.Reason, first.Where
	o.rule, o.citation = decidingRule(a.w.Trace(first.ID))
}

// matched is a line of a trace about a rule that matched, the last one of a
// dropped packet being the rule that decided.
var matched = regexp.MustCompile(`(?:IN|OUT) / (.+): match, .*?((?: \[[^\]]*\])?)$`)

func decidingRule(trace []string) (rule, citation string) {
	for _, l := range trace {
		if strings.Contains(l, ": drop ") {
			return rule, citation
		}
		if m := matched.FindStringSubmatch(l); m != nil {
			rule, citation = m[1], strings.Trim(m[2], " []")
		}
	}
	return "", ""
}

// why is the outcome in words.
func (o *outcome) why() string {
	switch {
	case o.open:
		return ""
	case o.reason == "" && o.detail == "":
		return "no answer"
	case o.reason == "":
		return o.detail
	}
	text := o.reason + " at " + o.where
	if o.rule != "" {
		text += ": " + o.rule
	}
	if o.citation != "" {
		text += " [" + o.citation + "]"
	}
	return text
}
