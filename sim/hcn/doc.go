// Package hcn is the vocabulary of the Windows Host Networking Service: the
// documents of its v2 interface (HCN) and of its v1 interface (HNS), their
// policies, the error codes, and what each build of the service supports.
//
// It is pure data. It decodes documents from either shape into one
// representation, encodes them back into either shape without losing members
// it does not know, checks them against a build profile with the error codes
// that the service answers, and names the place in the document that is wrong.
//
// It knows nothing about stores, objects that exist, identifiers that must be
// made, or packets: whatever needs a second document is the business of
// package hns. It imports neither hcsshim nor any other part of the model.
//
// Everything here is safe for concurrent use as long as nobody changes a
// document that somebody else reads; documents carry no locks.
package hcn
