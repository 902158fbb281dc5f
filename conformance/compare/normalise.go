package compare

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hnsim/hnsim/reports"
)

// Names of normalisations, for Options.Strict and reports.
const (
	normIDs       = "ids"
	normMACs      = "macs"
	normPorts     = "ports"
	normLinkLocal = "link-local"
	normAddrs     = "addresses"
	normIPID      = "ip-id"
	normSeq       = "tcp-seq"
	normChecksums = "checksums"
	normLabel     = "flow-label"
	normEntropy   = "entropy"
	normXID       = "dhcp-xid"
	normTimes     = "timestamps"
	normErrorText = "error-text"
	normUnasked   = "unasked"

	// On backends that run in real time.
	normOrder    = "order"
	normChatter  = "chatter"
	normRepeats  = "repeats"
	normACKs     = "tcp-acks"
	normTCP      = "tcp-stack"
	normDrops    = "drops"
	normHost     = "host-stack"
	normQuotes   = "icmp-quotes"
	normTunnel   = "tunnel-checksum"
	normInjected = "stimulus"
	normKnown    = "declared"
)

// Normalisation is something that may differ without meaning anything.
type Normalisation struct {
	Name, Meaning string
	// RealTime ones are used only if a side runs in real time: two worlds on
	// virtual time have no excuse.
	RealTime bool
}

var normalisations = []Normalisation{
	{normIDs, "generated ids, mapped one to one", false},
	{normMACs, "MAC addresses from pools, mapped one to one", false},
	{normPorts, "ephemeral ports, echo ids and their sequence numbers, mapped one to one", false},
	{normLinkLocal, "IPv6 addresses made of MAC addresses, mapped one to one", false},
	{normAddrs, "addresses and prefixes that the service chose, mapped one to one", false},
	{normIPID, "IP identification; that of fragments is mapped one to one", false},
	{normSeq, "TCP sequence numbers, shifted by one distance per flow", false},
	{normChecksums, "checksums that are right for what they cover", false},
	{normLabel, "IPv6 flow labels", false},
	{normEntropy, "source ports and flow ids of tunnels: one value per inner flow", false},
	{normXID, "DHCP transaction ids, mapped one to one", false},
	{normTimes, "times of observations", false},
	{normErrorText, "wording of refusals that have the same code", false},
	{normUnasked, "members of documents that no request of the scenario names", false},
	{normOrder, "order of frames within a line and a point", true},
	{normChatter, "ARP, neighbour discovery, IGMP and MLD", true},
	{normRepeats, "retransmitted TCP segments", true},
	{normACKs, "TCP segments that only acknowledge", true},
	{normTCP, "TCP window, options but MSS, PSH", true},
	{normHost, "what the IP stack of a host itself sends and receives; its wire is compared", true},
	{normQuotes, "TOS of ICMP errors, and how much they quote beyond 8 bytes of transport", true},
	{normTunnel, "UDP checksum around a tunnel: none, or a right one", true},
	{normInjected, "a raw frame at the NIC that was told to send it", true},
	{normKnown, "fields that an expectation file says may differ", false},
	{normDrops, "dropped frames that one side only reports", false},
}

// Normalisations lists all there are, in the order of reports.
func Normalisations() []Normalisation { return slices.Clone(normalisations) }

// CheckStrict reports a name that is none.
func CheckStrict(names []string) error {
	var known []string
	for _, n := range normalisations {
		known = append(known, n.Name)
	}
	for _, name := range names {
		if name != strictAll && !slices.Contains(known, name) {
			return fmt.Errorf("no normalisation %q: expected all, %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// strictAll switches every normalisation off.
const strictAll = "all"

// ledger knows which normalisations are on, counts their use, and holds the
// mappings of one scenario.
type ledger struct {
	strict   map[string]bool
	realTime bool
	counts   map[string]int
	to, from map[string]partner // left to right, right to left; keys begin with a class
	line     int                // of the script, for notes
	fixed    fixtures
	shifts   map[string]uint32 // TCP: right minus left, by flow
	spread   map[string]*spreads
	subnets  []subnetPair    // that differ
	hosts    map[string]bool // roles that are Windows hosts
	command  string          // of the current line
	// knownFields may differ; known is the first frame in which one does.
	knownFields []string
	known       *reports.Difference
	// ping is about the echo whose id and sequence number nobody asked for:
	// each one may have any.
	ping string
	// injected are the raw frames of the current line, by role.
	injected map[string]bool
	segments map[uint64]bool // TCP segments that were seen, by point
}

// partner is the other half of a pair and the line where it was found.
type partner struct {
	value string
	line  int
}

func newLedger(strict []string, realTime bool) *ledger {
	l := &ledger{
		strict: map[string]bool{}, realTime: realTime, counts: map[string]int{},
		to: map[string]partner{}, from: map[string]partner{}, fixed: fixtures{},
		shifts: map[string]uint32{}, spread: map[string]*spreads{}, segments: map[uint64]bool{}, hosts: map[string]bool{},
	}
	for _, n := range normalisations {
		l.strict[n.Name] = slices.Contains(strict, n.Name) || slices.Contains(strict, strictAll) || n.RealTime && !realTime
	}
	return l
}

// on reports whether a normalisation may be used.
func (l *ledger) on(name string) bool { return !l.strict[name] }

// used are the counts, in the order of reports.
func (l *ledger) used() []reports.Normalised {
	var out []reports.Normalised
	for _, n := range normalisations {
		if c := l.counts[n.Name]; c > 0 {
			out = append(out, reports.Normalised{Name: n.Name, Meaning: n.Meaning, Count: c})
		}
	}
	return out
}

// draft holds what the comparison of one thing would add to the ledger. Only
// what turns out equal is committed, so that a wrong guess leaves no trace.
type draft struct {
	*ledger
	pairs  []pairing
	uses   []string
	shifts []shift
	spread []spreading
	// subnets begin with those of the ledger.
	subnets []subnetPair
	known   *reports.Difference // a frame in which known fields differ
}

// subnetPair is a prefix that the service chose on each side.
type subnetPair struct{ left, right netip.Prefix }

// spreading is the entropy of one tunnelled packet of a tunnel endpoint.
type spreading struct{ from, left, right string }

// spreads are the different values that a tunnel endpoint used.
type spreads struct{ left, right map[string]bool }

type pairing struct{ left, right string }

type shift struct {
	flow string
	by   uint32
}

func (l *ledger) draft() *draft { return &draft{ledger: l, subnets: slices.Clip(l.subnets)} }

// pair claims that left and right are the same thing of a class. It reports
// why they cannot be.
func (d *draft) pair(class, left, right string) (why string) {
	l, r := class+" "+left, class+" "+right
	if old, ok := d.to[l]; ok && old.value != r {
		return fmt.Sprintf("left %s is right %s since line %d", left, strings.TrimPrefix(old.value, class+" "), old.line)
	}
	if old, ok := d.from[r]; ok && old.value != l {
		return fmt.Sprintf("right %s is left %s since line %d", right, strings.TrimPrefix(old.value, class+" "), old.line)
	}
	for _, p := range d.pairs {
		if (p.left == l) != (p.right == r) {
			return fmt.Sprintf("%s and %s contradict another pair of the same frame or answer", left, right)
		}
	}
	d.pairs = append(d.pairs, pairing{l, r})
	return ""
}

// forgetPorts undoes the pairs of ports (and echo identifiers) of left
// addresses: who gets such an address next draws its ports anew.
func (l *ledger) forgetPorts(addrs []string) {
	for _, addr := range addrs {
		for left, p := range l.to {
			if strings.Contains(left, " "+addr+":") || strings.Contains(left, " "+addr+" ") || strings.Contains(left, " ["+addr+"]:") {
				delete(l.to, left)
				delete(l.from, p.value)
			}
		}
	}
}

// partners reports whether two things are known to be a pair.
func (d *draft) partners(class, left, right string) bool {
	p := pairing{class + " " + left, class + " " + right}
	return d.to[p.left].value == p.right || slices.Contains(d.pairs, p)
}

func (d *draft) use(name string) { d.uses = append(d.uses, name) }

// commit adds the draft to the ledger.
func (d *draft) commit() {
	for _, p := range d.pairs {
		if _, ok := d.to[p.left]; !ok {
			d.to[p.left] = partner{p.right, d.line}
			d.from[p.right] = partner{p.left, d.line}
		}
	}
	for _, name := range d.uses {
		d.counts[name]++
	}
	for _, s := range d.shifts {
		d.ledger.shifts[s.flow] = s.by
	}
	d.ledger.subnets = d.subnets
	if d.ledger.known == nil {
		d.ledger.known = d.known
	}
	for _, s := range d.spread {
		sp := d.ledger.spread[s.from]
		if sp == nil {
			sp = &spreads{map[string]bool{}, map[string]bool{}}
			d.ledger.spread[s.from] = sp
		}
		sp.left[s.left], sp.right[s.right] = true, true
	}
}
