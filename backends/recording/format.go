package recording

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

// Schema names the version of the format. It stands in the first line. A reader
// refuses another major version and ignores members that it does not know.
const Schema = "hnsim.recording/1"

// Header says what was recorded.
type Header struct {
	Version      string                `json:"hnsimVersion,omitempty"` // of the program that wrote it
	Date         time.Time             `json:"date,omitzero"`          // when it began, UTC
	Backend      string                `json:"backend"`
	Capabilities []backends.Capability `json:"capabilities"`
	DropNames    []string              `json:"dropNames,omitempty"`
	Profile      string                `json:"profile"`
	Seed         uint64                `json:"seed"`
	Knobs        map[string]string     `json:"knobs,omitempty"`
	NoFlowCache  bool                  `json:"noFlowCache,omitempty"`
	Features     backends.FeatureSet   `json:"features"`
	Deviations   *Deviations           `json:"deviations,omitempty"`
}

// Deviations is what the recorded backend declares about itself
// (backends.Deviator).
type Deviations struct {
	File string `json:"file"`
	Text string `json:"text"`
}

// record is one line of the file. World numbers the worlds of a run from 1;
// exactly one of the members behind it says what the line is about.
type record struct {
	Schema string      `json:"schema,omitempty"`
	Header *Header     `json:"recording,omitempty"`
	World  int         `json:"world,omitempty"`
	Open   *opening    `json:"open,omitempty"`
	Call   string      `json:"call,omitempty"`
	Seen   *seenRecord `json:"seen,omitempty"`
	End    *ending     `json:"end,omitempty"`

	// Of calls.
	Args   json.RawMessage `json:"args,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *errorRecord    `json:"error,omitempty"`
	NowNs  int64           `json:"nowNs,omitempty"` // the world's clock after the call
}

type opening struct {
	Scenario string               `json:"scenario"`
	Config   backends.WorldConfig `json:"config"`
}

// ending is the last line of a file that is whole.
type ending struct {
	Worlds int `json:"worlds"`
}

// seenRecord is an observation.
type seenRecord struct {
	AtNs   int64                    `json:"atNs,omitempty"`
	Kind   backends.ObservationKind `json:"kind"`
	Role   string                   `json:"role"`
	Peer   string                   `json:"peer,omitempty"`
	Where  string                   `json:"where,omitempty"`
	Reason string                   `json:"reason,omitempty"`
	ID     uint64                   `json:"id,omitempty"`
	Frame  []byte                   `json:"frame,omitempty"`
	// As is which observation of the world, counted from 1, has the same
	// frame: most packets are seen at several points.
	As int `json:"as,omitempty"`
}

// observation is what was seen; the frame may be that of an earlier one.
func (s *seenRecord) observation() backends.Observation {
	return backends.Observation{
		At: time.Duration(s.AtNs), Kind: s.Kind, Role: s.Role, Peer: s.Peer,
		Where: s.Where, Reason: s.Reason, ID: s.ID, Frame: s.Frame,
	}
}

// errorRecord keeps an error with its kind, because callers tell kinds apart.
type errorRecord struct {
	Usage  string     `json:"usage,omitempty"`  // *backends.UsageError
	HCN    *hcnRecord `json:"hcn,omitempty"`    // *hcn.Error
	Other  string     `json:"other,omitempty"`  // trouble of the backend
	Absent string     `json:"absent,omitempty"` // *backends.UnansweredError
	Cannot string     `json:"cannot,omitempty"` // *backends.UnsupportedError
}

type hcnRecord struct {
	Code     hcn.Code `json:"code"`
	Detail   string   `json:"detail,omitempty"`
	Path     string   `json:"path,omitempty"`
	Found    string   `json:"found,omitempty"`
	Expected string   `json:"expected,omitempty"`
	Line     int      `json:"line,omitempty"`
	Column   int      `json:"column,omitempty"`
}

func errorOf(err error) *errorRecord {
	var usage *backends.UsageError
	var absent *backends.UnansweredError
	var cannot *backends.UnsupportedError
	var h *hcn.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &cannot):
		return &errorRecord{Cannot: cannot.Msg}
	case errors.As(err, &usage):
		return &errorRecord{Usage: usage.Msg}
	case errors.As(err, &h):
		return &errorRecord{HCN: &hcnRecord{h.Code, h.Detail, h.Path, h.Found, h.Expected, h.Line, h.Column}}
	case errors.As(err, &absent):
		return &errorRecord{Absent: absent.Msg}
	}
	return &errorRecord{Other: err.Error()}
}

func (e *errorRecord) err() error {
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

// text is a document. It is kept as it was, which it may not be as JSON: as a
// string, or as base64 where it is no UTF-8.
type text []byte

func (t text) MarshalJSON() ([]byte, error) {
	if utf8.Valid(t) {
		return json.Marshal(string(t))
	}
	return json.Marshal(map[string][]byte{"base64": t})
}

func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err == nil {
		*t = text(s)
		return nil
	}
	var raw struct{ Base64 []byte }
	err := json.Unmarshal(b, &raw)
	*t = raw.Base64
	return err
}

// hcnArgs, stimulusArgs and the like write what encoding/json would lose.
type hcnArgs struct {
	backends.HCNOp
	Body text
}

type stimulusArgs struct {
	backends.Stimulus
	Src, Dst end
}

// end is an address, a port, or both.
type end netip.AddrPort

func (e end) MarshalText() ([]byte, error) {
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

func (e *end) UnmarshalText(b []byte) error {
	s := string(b)
	port, ok := strings.CutPrefix(s, ":")
	if n, err := strconv.ParseUint(port, 10, 16); ok && err == nil {
		*e = end(netip.AddrPortFrom(netip.Addr{}, uint16(n)))
		return nil
	}
	if a, err := netip.ParseAddr(s); err == nil {
		*e = end(netip.AddrPortFrom(a, 0))
		return nil
	}
	if s == "" {
		*e = end{}
		return nil
	}
	a, err := netip.ParseAddrPort(s)
	*e = end(a)
	return err
}

// Answers.

type hcnResult struct {
	ID       string `json:"id,omitempty"`
	Document text   `json:"document,omitempty"`
}

type outcomeRecord struct {
	OK       bool       `json:"ok"`
	Detail   string     `json:"detail,omitempty"`
	Received []byte     `json:"received,omitempty"`
	ID       uint64     `json:"id,omitempty"`
	Local    end        `json:"local,omitzero"`
	Addr     netip.Addr `json:"addr,omitzero"`
	MAC      wire.MAC   `json:"mac,omitzero"`
}

func outcomeOf(o backends.Outcome) outcomeRecord {
	return outcomeRecord{o.OK, o.Detail, o.Received, o.ID, end(o.Local), o.Addr, o.MAC}
}

func (o outcomeRecord) outcome() backends.Outcome {
	return backends.Outcome{OK: o.OK, Detail: o.Detail, Received: o.Received, ID: o.ID, Local: netip.AddrPort(o.Local), Addr: o.Addr, MAC: o.MAC}
}
