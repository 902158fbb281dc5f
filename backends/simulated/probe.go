package simulated

import (
	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/fabric/ipstack"
)

// probe resolves an address by ARP or ND, whatever the cache says.
func (w *world) probe(st *ipstack.Stack, s backends.Stimulus) (backends.Outcome, error) {
	p, err := st.Probe(w.now(), "", s.Dst.Addr())
	if err != nil {
		return backends.Outcome{}, usage("arp: %v", err)
	}
	if err := w.until(s.Timeout, func() bool { return p.Done }); err != nil {
		return backends.Outcome{}, err
	}
	if !p.Done || p.MAC.IsZero() {
		return backends.Outcome{Detail: "silence"}, w.settle()
	}
	return backends.Outcome{OK: true, MAC: p.MAC, Detail: p.MAC.String()}, w.settle()
}
