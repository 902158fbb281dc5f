package linux

import (
	"strings"
	"time"

	"github.com/hnsim/hnsim/sim/hcn"
)

// idleTimes sets conntrack's idle times once: WinNAT's where there is a nat
// network, VFP's elsewhere.
func (h *host) idleTimes() error {
	kind := "vfp"
	for _, n := range h.store.networks {
		if n.kind == hcn.NAT {
			kind = "winnat"
		}
	}
	if h.timers == kind || h.timers == "set" {
		return nil
	}
	h.timers = kind
	k := h.store.profile.Knobs
	if kind == "vfp" {
		return h.space.conntrack(&h.w.time, vfpIdle(k.VFPNATIdle))
	}
	// WinNAT makes no mapping from the middle of a connection.
	if err := h.space.sysctl("net/netfilter/nf_conntrack_tcp_loose", "0"); err != nil {
		return err
	}
	t := k.NATTimers()
	return h.space.conntrack(&h.w.time, map[string]time.Duration{"icmp": t.ICMP, "udp": t.UDP, "transient": t.TCPTransient, "established": t.TCPEstablished})
}

// vfpIdle is one idle time for everything (rule VFP-09).
func vfpIdle(d time.Duration) map[string]time.Duration {
	return map[string]time.Duration{"icmp": d, "udp": d, "transient": d, "established": d}
}

// setTimers is Set-NetNat: "udp=30s icmp=10s transient=... established=...";
// what is not named has WinNAT's default.
func (h *host) setTimers(text string) error {
	k := h.store.profile.Knobs.NATTimers()
	t := map[string]time.Duration{"icmp": k.ICMP, "udp": k.UDP, "transient": k.TCPTransient, "established": k.TCPEstablished}
	for _, f := range strings.Fields(text) {
		name, value, _ := strings.Cut(f, "=")
		d, err := time.ParseDuration(value)
		if _, ok := t[name]; !ok || err != nil {
			return usage("nat.timers %s: expected icmp=, udp=, transient= or established= with a duration such as 30s", f)
		}
		t[name] = d
	}
	h.timers = "set"
	return h.space.conntrack(&h.w.time, t)
}

// conntrack sets the idle times of a namespace's connection table.
func (s *space) conntrack(c *clock, t map[string]time.Duration) error {
	if s.frozen == nil {
		s.frozen = frozen{}
	}
	files := map[string][]string{
		"icmp": {"icmp_timeout"}, "udp": {"udp_timeout", "udp_timeout_stream"},
		"transient": {"tcp_timeout_syn_sent", "tcp_timeout_syn_recv", "tcp_timeout_last_ack", "tcp_timeout_time_wait", "tcp_timeout_close"},
		// A connection that is closed from one side only is established still.
		"established": {"tcp_timeout_established", "tcp_timeout_fin_wait", "tcp_timeout_close_wait",
			"tcp_timeout_unacknowledged", "tcp_timeout_max_retrans"},
	}
	for name, list := range files {
		seconds, err := c.seconds(t[name])
		if err != nil {
			return err
		}
		for _, f := range list {
			if err := s.sysctl("net/netfilter/nf_conntrack_"+f, seconds); err != nil {
				return err
			}
		}
	}
	return s.sysctl("net/netfilter/nf_conntrack_tcp_be_liberal", "1")
}
