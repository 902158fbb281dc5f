package codec

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

// Fault keeps an error with its kind, because callers tell kinds apart.
type Fault struct {
	Usage  string   `json:"usage,omitempty"`  // *backends.UsageError
	HCN    *Refusal `json:"hcn,omitempty"`    // *hcn.Error
	Other  string   `json:"other,omitempty"`  // trouble of the backend
	Absent string   `json:"absent,omitempty"` // *backends.UnansweredError
	Cannot string   `json:"cannot,omitempty"` // *backends.UnsupportedError
}

// Refusal is an hcn.Error.
type Refusal struct {
	Code     hcn.Code `json:"code"`
	Detail   string   `json:"detail,omitempty"`
	Path     string   `json:"path,omitempty"`
	Found    string   `json:"found,omitempty"`
	Expected string   `json:"expected,omitempty"`
	Line     int      `json:"line,omitempty"`
	Column   int      `json:"column,omitempty"`
}

// FaultOf is err in that form; nil stays nil.
func FaultOf(err error) *Fault {
	var usage *backends.UsageError
	var absent *backends.UnansweredError
	var cannot *backends.UnsupportedError
	var h *hcn.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &cannot):
		return &Fault{Cannot: cannot.Msg}
	case errors.As(err, &usage):
		return &Fault{Usage: usage.Msg}
	case errors.As(err, &h):
		return &Fault{HCN: &Refusal{h.Code, h.Detail, h.Path, h.Found, h.Expected, h.Line, h.Column}}
	case errors.As(err, &absent):
		return &Fault{Absent: absent.Msg}
	}
	return &Fault{Other: err.Error()}
}

// Err is the error again, of the kind that it was.
func (e *Fault) Err() error {
	switch {
	case e == nil:
		return nil
	case e.HCN != nil:
		h := e.HCN
		return &hcn.Error{Code: h.Code, Detail: h.Detail, Path: h.Path, Found: h.Found, Expected: h.Expected, Line: h.Line, Column: h.Column}
	case e.Usage != "":
		return &backends.UsageError{Msg: e.Usage}
	case e.Cannot != "":
		return &backends.UnsupportedError{Msg: e.Cannot}
	case e.Absent != "":
		return &backends.UnansweredError{Msg: e.Absent}
	}
	return errors.New(e.Other)
}

// Text is a document. It is kept as it was, which it may not be as JSON: as a
// string, or as base64 where it is no UTF-8.
type Text []byte

func (t Text) MarshalJSON() ([]byte, error) {
	if utf8.Valid(t) {
		return json.Marshal(string(t))
	}
	return json.Marshal(map[string][]byte{"base64": t})
}

func (t *Text) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err == nil {
		*t = Text(s)
		return nil
	}
	var raw struct{ Base64 []byte }
	err := json.Unmarshal(b, &raw)
	*t = raw.Base64
	return err
}

// HCNArgs is an operation whose body need not be JSON.
type HCNArgs struct {
	backends.HCNOp
	Body Text
}

// StimulusArgs is a stimulus with ends of which a half may be missing.
type StimulusArgs struct {
	backends.Stimulus
	Src, Dst End
}

// Whole is the stimulus again.
func (a StimulusArgs) Whole() backends.Stimulus {
	s := a.Stimulus
	s.Src, s.Dst = netip.AddrPort(a.Src), netip.AddrPort(a.Dst)
	return s
}

// StimulusOf is s in that form.
func StimulusOf(s backends.Stimulus) StimulusArgs {
	return StimulusArgs{s, End(s.Src), End(s.Dst)}
}

// End is an address, a port, or both.
type End netip.AddrPort

func (e End) MarshalText() ([]byte, error) {
	a := netip.AddrPort(e)
	switch {
	case a.Port() == 0 && a.Addr().IsValid():
		return a.Addr().MarshalText()
	case a.Port() == 0:
		return nil, nil
	case !a.Addr().IsValid():
		return fmt.Appendf(nil, ":%d", a.Port()), nil
	}
	return a.MarshalText()
}

func (e *End) UnmarshalText(b []byte) error {
	s := string(b)
	port, ok := strings.CutPrefix(s, ":")
	if n, err := strconv.ParseUint(port, 10, 16); ok && err == nil {
		*e = End(netip.AddrPortFrom(netip.Addr{}, uint16(n)))
		return nil
	}
	if a, err := netip.ParseAddr(s); err == nil {
		*e = End(netip.AddrPortFrom(a, 0))
		return nil
	}
	if s == "" {
		*e = End{}
		return nil
	}
	a, err := netip.ParseAddrPort(s)
	*e = End(a)
	return err
}

// HCNAnswer is a backends.HCNResult.
type HCNAnswer struct {
	ID       string `json:"id,omitempty"`
	Document Text   `json:"document,omitempty"`
}

// Outcome is a backends.Outcome.
type Outcome struct {
	OK       bool       `json:"ok"`
	Detail   string     `json:"detail,omitempty"`
	Received []byte     `json:"received,omitempty"`
	ID       uint64     `json:"id,omitempty"`
	Local    End        `json:"local,omitzero"`
	Addr     netip.Addr `json:"addr,omitzero"`
	MAC      wire.MAC   `json:"mac,omitzero"`
}

// OutcomeOf is o in that form.
func OutcomeOf(o backends.Outcome) Outcome {
	return Outcome{o.OK, o.Detail, o.Received, o.ID, End(o.Local), o.Addr, o.MAC}
}

// Outcome is the outcome again.
func (o Outcome) Outcome() backends.Outcome {
	return backends.Outcome{OK: o.OK, Detail: o.Detail, Received: o.Received, ID: o.ID, Local: netip.AddrPort(o.Local), Addr: o.Addr, MAC: o.MAC}
}
