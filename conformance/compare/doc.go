// Package compare finds the first difference between what two backends made of
// the same stimuli: the answers of the control plane, what became of each
// stimulus, and the frames at every point. What a scenario expects plays no part.
//
// A Watch goes around a backend and keeps a Transcript; Compare takes two of them.
// What may differ without meaning anything is normalised, and every
// normalisation that was used is counted (see Normalisations). Generated values
// are mapped one to one over a whole scenario: a mapping that contradicts itself
// is a difference.
//
// The package knows the contract of backends, frames and documents. It must not
// know any backend, nor how differences are shown.
package compare
