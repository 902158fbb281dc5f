// Package qos is the bandwidth limit of an endpoint's port (contract section
// 10): a token bucket on virtual time.
//
// It knows rates and bytes; it knows no packets, no documents and no clock. The
// switch asks it when a frame may leave (rule QOS-04: the built-in switch does
// that, VFP or not), and the departure is the caller's to carry out.
//
// Not modelled: priorities and weights of frames, which the policy cannot say.
package qos
