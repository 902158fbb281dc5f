// Package bench measures what packets cost on a backend, and how much load it
// carries.
//
// There are two kinds of measurement, which never share a table. Cost is time
// per packet of the forwarding path itself, in a closed loop that the CPU
// bounds: for backends whose worlds are backends.Bencher. Service is loss and
// latency at an offered rate, and the highest rate without loss: for those
// that are backends.Offerer.
//
// The worlds are made from HCN documents through the control plane, with the
// words that scenarios use; what is measured is what scenarios run. The first
// packet of a path is sent by the role's own stack, and its frame is the
// template of all others, so that no path depends on how a backend makes up
// addresses.
//
// The package knows backends by their contract, frames by sim/wire and results
// by package reports. It must not know the model: the suite that checks it and
// the benchmark that times it see the same surface.
//
// # Noise
//
// Machines are noisy, so nothing is concluded from one figure. Every sample is
// a measurement followed at once by a reference loop (a checksum over the same
// frames); what is compared is the ratio of the two. Samples of two sides are
// taken in turn. The same code measured twice in turn gives the floor, the
// typical difference of nothing; see Judge for what counts as a change.
package bench
