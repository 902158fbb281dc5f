//go:build linux

package main

// entry is one system in a comparison.
type entry struct {
	system string // of the table in child.go
	path   string // what of it
}

// workload is one kind of work, side by side. The first entry of hnsim is what
// the others are put in relation to, the entry of the limit is the other
// relation.
type workload struct {
	name    string
	flows   []int
	entries []entry
	atMost  float64 // times the limit, promised at goalAt flows and more; 0: nothing is
	goalAt  int
}

// workloads are all there are, in the order of reports.
var workloads = []workload{
	{"l2", []int{1000, 100_000, 1_000_000}, []entry{{"limit", "l2"}, {"hnsim", "l2"}, {"xdp", "l2"}, {"xdp", "generator"},
		{"ovs", "learning"}, {"dpdk", "testpmd"}, {"kernel", "bridge"}, {"kernel", "generator"}, {"gvisor", "bridge"}}, 2, 100_000},
	{"nat", []int{1000, 100_000, 250_000, 1_000_000}, []entry{{"limit", "napt"}, {"hnsim", "nat"}, {"gopacket", "nat"}, {"gopacket", "nat-map"},
		{"xdp", "nat"}, {"xdp", "generator"}, {"ovs", "ct-nat"}, {"kernel", "masquerade"}, {"gvisor", "forward"}, {"gvisor", "nat"}}, 2, 100_000},
	{"outboundnat", []int{1000, 50_000}, []entry{{"limit", "napt"}, {"hnsim", "outboundnat"}}, 2, 50_000},
	{"encap", []int{1000, 100_000}, []entry{{"limit", "encap"}, {"hnsim", "encap"}, {"gopacket", "encap"}, {"ovs", "vxlan"}, {"kernel", "vxlan"}}, 2, 100_000},
	{"encap+decap", []int{100_000}, []entry{{"limit", "encap+decap"}, {"hnsim", "encap+decap"}}, 2.5, 100_000},
	{"lb-dsr", []int{100_000}, []entry{{"limit", "lb"}, {"hnsim", "lb-dsr"}}, 2.5, 100_000},
	{"acl-1000", []int{100_000}, []entry{{"limit", "acl-abv-1000"}, {"hnsim", "acl-1000"}}, 3, 0},
	{"nat-new", []int{100_000}, []entry{{"limit", "new"}, {"hnsim", "nat-new"}, {"kernel", "masquerade-new"}}, 3, 0},
}

// promise is a ratio that the project promises: a path of the model is so many
// times as fast as another system in the same workload.
type promise struct {
	workload string
	entry    entry
	atLeast  float64
	flows    int // from so many on
	// minus is what of the same system is taken off first: the generator, which
	// is no part of what is compared.
	minus entry
}

var promises = []promise{
	{"nat", entry{"gvisor", "nat"}, 100, 0, entry{}},
	{"nat", entry{"gopacket", "nat"}, 4, 0, entry{}},
	{"nat", entry{"gopacket", "nat-map"}, 4, 0, entry{}},
	{"nat", entry{"kernel", "masquerade"}, 10, 0, entry{}},
	{"l2", entry{"xdp", "l2"}, 1, 100_000, entry{"xdp", "generator"}},
	{"nat", entry{"xdp", "nat"}, 1, 100_000, entry{"xdp", "generator"}},
}

// includes says what a figure is made of, beside what the system's note in the
// report says.
var includes = map[string]string{
	"limit":    "the unavoidable work in C with AVX-512 (../c/limit.c), bringing in 64 bytes included",
	"hnsim":    "head of the frame brought in, then all that a host of the model does: port security, VLAN, layers, flow tables, counters, drop reasons",
	"gvisor":   "netstack with channel endpoints: packet buffer made and freed, IP packets without Ethernet (bridge: with); forward: routing and TTL; nat: with MASQUERADE and its connection tracking",
	"gopacket": "DecodingLayerParser, rewrite, SerializeLayers with all checksums; nat: the new port is computed, no table; nat-map: looked up in a built-in map; encap: outer headers serialised, too",
	"kernel":   "namespaces and veth; frames made by an XDP program in live-frame mode (row generator, included in all), skb, bridge or routing with nftables masquerade or VXLAN, out by veth and dropped by its peer as a frame for somebody else; time of the thread and of ksoftirqd",
	"xdp":      "XDP program with hash maps under BPF_PROG_TEST_RUN, no skb, no driver; head of the frame copied from an array map (row generator, included in both)",
	"ovs":      "user-space datapath of Open vSwitch with DPDK, no hugepages: CPU time of the PMD thread per packet, bringing in from memory (net_pcap, infinite_rx) and freeing (net_null) included",
	"dpdk":     "testpmd in mode mac, no hugepages: MAC addresses rewritten, nothing looked up; CPU time of the forwarding thread, net_pcap and net_null included",
}

// missing says what a system needs that is not part of Go.
var missing = map[string]string{
	"limit":  "gcc, and a processor with AVX-512",
	"kernel": "root, nftables (apt: nftables), BPF and veth in the kernel",
	"xdp":    "root and BPF in the kernel",
	"ovs":    "root; apt: openvswitch-switch-dpdk librte-net-pcap23 librte-net-null23",
	"dpdk":   "root; apt: dpdk-dev",
}
