// Package sim is the software model of a Windows container network: a World
// of hosts, routers and external machines on virtual time, each host with its
// own HNS that takes real HCN documents.
//
//	w, _ := sim.New(sim.Config{Profile: "ws2022"})
//	h1, _ := w.AddHost(sim.HostConfig{Name: "h1", Addrs: ...})
//	id, err := h1.HNS.CreateNetwork("", document)
//	...
//	w.Loop().Settle()
//
// A World is a value: many live side by side in one process, each used from
// one goroutine. The same seed and the same calls give the same bytes.
//
// It knows how control plane and data plane of a host belong together, and
// nothing of scenarios, reports or backends.
package sim
