// Package mlr searches for the highest loads that a system carries with at most
// given shares of loss: Multiple Loss Ratio search, RFC 9971.
//
// It takes its words from there. A goal is a loss ratio together with how long
// trials must be before they count in full, how much trial time a load needs
// before it is classified, and how large a share of that time may exceed the
// loss ratio all the same. A load is classified by all of its trials as a lower
// bound, an upper bound or undecided. The relevant bounds of a goal are the
// lowest upper bound and the highest lower bound below it; the conditional
// throughput is the share of the load at the lower bound that came through.
//
// What a controller may choose by itself, this one chooses so: it begins at the
// most that may be offered, takes what came through there as the first guess of
// a lower bound, and halves intervals geometrically, with short trials first
// and longer ones as the interval shrinks.
//
// The package knows loads, times and losses. Who offers the load is its
// caller's business (the measurer of the RFC).
package mlr
