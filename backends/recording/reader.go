package recording

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hnsim/hnsim/backends"
)

// Limits of a recording. They bound what a hostile or broken file can cost.
const (
	MaxBytes  = 1 << 30 // of text, after decompression
	MaxLine   = 16 << 20
	MaxWorlds = 200_000
)

// Recording is a file that was read.
type Recording struct {
	Header Header
	// Worlds are in the order in which they were opened, by scenario. Worlds
	// that were opened without one are under "".
	Worlds map[string][]*World
	// Torn is not nil if the file ends before its last line.
	Torn *TornError
}

// World is the record of one world.
type World struct {
	Scenario string
	Config   backends.WorldConfig
	Entries  []Entry
	Complete bool // Close was recorded
}

// TornError says that a recording ends before its last line: the program that
// wrote it died, or the copy is not complete. What was read before is usable.
type TornError struct {
	Lines            int // that were read
	Worlds, Complete int
	Last             string // scenario of the last world that is not complete, if any
	Cause            error
}

func (e *TornError) Error() string {
	s := fmt.Sprintf("the recording is torn behind line %d (%v): %d of the %d worlds in it are complete", e.Lines, e.Cause, e.Complete, e.Worlds)
	if e.Last != "" {
		s += ", " + e.Last + " ends half-way"
	}
	return s
}

func (e *TornError) Unwrap() error { return e.Cause }

// FormatError is a line that no recording has.
type FormatError struct {
	Line int // 0: the file as a whole
	Msg  string
}

func (e *FormatError) Error() string {
	if e.Line == 0 {
		return e.Msg
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Msg)
}

var errNoEnd = errors.New("there is no end line")

// Read takes a recording in. For one that is torn it returns both what there is
// and a *TornError.
func Read(r io.Reader) (*Recording, error) { return read(r, MaxBytes) }

func read(r io.Reader, limit int64) (*Recording, error) {
	zip, err := gzip.NewReader(r)
	if err != nil {
		return nil, &FormatError{0, fmt.Sprintf("this is no recording: expected gzip (%v)", err)}
	}
	rd := &reader{rec: &Recording{Worlds: map[string][]*World{}}}
	in := bufio.NewReaderSize(&io.LimitedReader{R: zip, N: limit}, 1<<16)
	var total int64
	for {
		text, err := readLine(in)
		total += int64(len(text))
		switch {
		case errors.Is(err, errLongLine):
			return nil, &FormatError{rd.line + 1, err.Error()}
		case total >= limit:
			return nil, &FormatError{rd.line + 1, fmt.Sprintf("more than %d MB of text", limit>>20)}
		case err != nil && rd.ended && len(text) == 0 && err == io.EOF:
			return rd.rec, nil
		case err != nil:
			return rd.torn(err)
		}
		if err := rd.take(text); err != nil {
			return nil, err
		}
	}
}

var errLongLine = fmt.Errorf("a line of more than %d MB", MaxLine>>20)

// readLine reads up to and including the end of a line, within bounds. A line
// without end is what a torn file ends with.
func readLine(in *bufio.Reader) ([]byte, error) {
	var out []byte
	for {
		part, err := in.ReadSlice('\n')
		out = append(out, part...)
		switch {
		case len(out) > MaxLine:
			return nil, errLongLine
		case err != bufio.ErrBufferFull:
			return out, err
		}
	}
}

// reader puts lines together.
type reader struct {
	rec    *Recording
	worlds []*World   // by number
	frames [][][]byte // that were seen, by world
	line   int
	ended  bool
}

func (r *reader) torn(cause error) (*Recording, error) {
	if r.line == 0 {
		return nil, &FormatError{0, fmt.Sprintf("this is no recording: it ends before its header (%v)", cause)}
	}
	if cause == io.EOF {
		cause = errNoEnd
	}
	e := &TornError{Lines: r.line, Worlds: len(r.worlds), Cause: cause}
	for _, w := range r.worlds {
		if w.Complete {
			e.Complete++
		} else {
			e.Last = w.Scenario
		}
	}
	r.rec.Torn = e
	return r.rec, e
}

func (r *reader) errorf(format string, args ...any) error {
	return &FormatError{r.line, fmt.Sprintf(format, args...)}
}

func (r *reader) take(text []byte) error {
	r.line++
	var rec record
	if err := json.Unmarshal(text, &rec); err != nil {
		return r.errorf("this is no line of a recording: %v", err)
	}
	switch {
	case r.line == 1:
		return r.header(&rec)
	case r.ended:
		return r.errorf("there is something behind the end line")
	case rec.End != nil:
		r.ended = true
		if rec.End.Worlds != len(r.worlds) {
			return r.errorf("the end line counts %d worlds, there are %d", rec.End.Worlds, len(r.worlds))
		}
		return nil
	case rec.Open != nil:
		return r.open(&rec)
	case rec.Call == "" && rec.Seen == nil:
		return nil // a later version's
	case rec.World < 1 || rec.World > len(r.worlds):
		return r.errorf("world %d was not opened; there are %d", rec.World, len(r.worlds))
	}
	w := r.worlds[rec.World-1]
	if rec.Seen != nil {
		return r.seen(rec.World-1, rec.Seen)
	}
	if w.Complete {
		return r.errorf("world %d (%s) was closed before", rec.World, w.Scenario)
	}
	w.Complete = rec.Call == closing
	e := Entry{Call: Call{rec.Call, string(rec.Args)}, Now: time.Duration(rec.NowNs)}
	if err := e.decode(&rec); err != nil {
		return r.errorf("%s of world %d: %v", rec.Call, rec.World, err)
	}
	w.Entries = append(w.Entries, e)
	return nil
}

func (r *reader) header(rec *record) error {
	major, _, _ := strings.Cut(Schema, "/")
	switch {
	case !strings.HasPrefix(rec.Schema, major+"/"):
		return r.errorf("this is no recording: the schema is %q, expected %q", rec.Schema, Schema)
	case rec.Schema != Schema:
		return r.errorf("the recording is %s; this program reads %s: use the version that wrote it", rec.Schema, Schema)
	case rec.Header == nil || rec.Header.Backend == "" || rec.Header.Profile == "":
		return r.errorf("the header names no backend or no profile")
	}
	r.rec.Header = *rec.Header
	return nil
}

func (r *reader) open(rec *record) error {
	if rec.World != len(r.worlds)+1 {
		return r.errorf("world %d is opened, the next one is %d", rec.World, len(r.worlds)+1)
	}
	if len(r.worlds) == MaxWorlds {
		return r.errorf("more than %d worlds", MaxWorlds)
	}
	w := &World{Scenario: rec.Open.Scenario, Config: rec.Open.Config}
	r.worlds, r.frames = append(r.worlds, w), append(r.frames, nil)
	r.rec.Worlds[w.Scenario] = append(r.rec.Worlds[w.Scenario], w)
	return nil
}

func (r *reader) seen(n int, s *seenRecord) error {
	w := r.worlds[n]
	if len(w.Entries) == 0 {
		return r.errorf("something is seen before the first call")
	}
	if s.As < 0 || s.As > len(r.frames[n]) {
		return r.errorf("a frame like that of observation %d; there are %d so far", s.As, len(r.frames[n]))
	}
	if s.As > 0 {
		s.Frame = r.frames[n][s.As-1]
	}
	r.frames[n] = append(r.frames[n], s.Frame)
	e := &w.Entries[len(w.Entries)-1]
	e.Seen = append(e.Seen, s.observation())
	return nil
}
