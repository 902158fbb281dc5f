package hns

import (
	"net/netip"
	"time"
)

// A probe is this program, started again for one container. It reads requests
// from its standard input and writes answers and events to its standard output,
// one JSON object a line. It ends with its input.

// probeRequest asks a probe to do something.
type probeRequest struct {
	ID      uint64         `json:"id"` // counts from 1
	Do      probeVerb      `json:"do"`
	Proto   string         `json:"proto,omitempty"` // "udp" or "tcp"
	Src     netip.Addr     `json:"src,omitzero"`
	SrcPort uint16         `json:"srcPort,omitempty"`
	Dst     netip.AddrPort `json:"dst,omitzero"`
	TTL     uint8          `json:"ttl,omitempty"`
	Payload []byte         `json:"payload,omitempty"`
	Count   int            `json:"count,omitempty"` // send: so many; 0 is 1
	Every   time.Duration  `json:"everyNs,omitempty"`
	Timeout time.Duration  `json:"timeoutNs,omitempty"`
	// Answer is what a listener answers; Echo makes it the question.
	Answer []byte `json:"answer,omitempty"`
	Echo   bool   `json:"echo,omitempty"`
}

type probeVerb string

const (
	// probeReady waits until the compartment has the address Src.
	probeReady   probeVerb = "ready"
	probeSend    probeVerb = "send"    // a datagram
	probeWatch   probeVerb = "watch"   // report datagrams to Src:SrcPort
	probeListen  probeVerb = "listen"  // serve
	probeBind    probeVerb = "bind"    // hold a port
	probeConnect probeVerb = "connect" // TCP: connect, send, read, close
	probePing    probeVerb = "ping"
)

// probeMessage is an answer (ID is the request's) or an event (ID is 0).
type probeMessage struct {
	ID uint64 `json:"id,omitempty"`
	// At is the probe's wall clock in nanoseconds since 1970: all probes of a
	// run read the same machine's.
	At int64 `json:"atNs"`

	// Of answers.
	OK      bool           `json:"ok,omitempty"`
	Detail  string         `json:"detail,omitempty"`
	Local   netip.AddrPort `json:"local,omitzero"`
	Payload []byte         `json:"payload,omitempty"` // of events, too
	// Error is trouble: the probe could not do what was asked for, which says
	// nothing about the network.
	Error string `json:"error,omitempty"`

	// Of events: what came, or what left.
	Event string         `json:"event,omitempty"` // "received", "sent"
	Proto string         `json:"proto,omitempty"` // "udp", "tcp" (the beginning of a connection)
	Src   netip.AddrPort `json:"src,omitzero"`
	Dst   netip.AddrPort `json:"dst,omitzero"`
}

// maxProbeLine bounds a line: a payload of 64 kB in base64 and the rest.
const maxProbeLine = 1 << 20
