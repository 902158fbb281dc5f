// Package wire knows bytes and nothing else: Ethernet frames and the headers
// in them, checksums, flow keys, a frame builder and a decoder for people.
//
// There are four ways to look at a frame, from fast to convenient:
//
//   - Parse fills a fixed-size Meta with offsets, ports and flags. All bounds
//     are decided there, once; what works from a Meta indexes without asking
//     again. Meta.Key4 and Meta.Key6 make flow keys from it.
//   - A header view such as IPv4 or TCP is a []byte with named getters and
//     setters, one protocol a file, the header's picture above it. Setters
//     change their field and no checksum.
//   - The rewrites (SetIPv4Src, SetPorts, DecTTL, RewriteQuotedSrc, ...) change
//     a field and mend every checksum that covers it (RFC 1624).
//   - Frame builds a frame from a declarative tree; Describe and Summary turn
//     one back into text.
//
// The data plane deals in uint32 and [16]byte addresses, the edges in
// netip.Addr; the conversions live in addr.go and nowhere else.
//
// Everything here is a pure function of its arguments: no state, no clock, no
// goroutine. Nothing panics on any frame, however broken; what a Meta or a
// Quoted is used with must be the frame that it was made from. Parse, the keys
// and the rewrites do not allocate.
//
// The package must not know ports, policies, networks or documents, and
// imports the standard library only.
package wire
