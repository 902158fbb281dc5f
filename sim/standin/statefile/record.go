package statefile

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strconv"
)

const (
	magic   = "hnsim-state "
	version = "1"
	header  = magic + version + "\n"
)

// MaxRecord bounds the JSON of a record: a delta holds whole documents, and a
// world that starts is one delta a host.
const MaxRecord = 1 << 30

// record is one line.
type record struct {
	Seq     uint64            `json:"seq"`
	Durable uint64            `json:"durable"`
	Meta    map[string]string `json:"meta,omitempty"`
	Whole   uint64            `json:"whole,omitempty"` // of record 0: the last record that was there when the file got its name
	Host    string            `json:"host,omitempty"`
	Delta   json.RawMessage   `json:"delta,omitempty"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (r *record) line() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // documents come back byte for byte
	if err := enc.Encode(r); err != nil {
		return nil, err
	}
	text := b.Bytes() // with the line break
	if len(text) > MaxRecord {
		return nil, fmt.Errorf("a record of %d bytes, more than %d", len(text), MaxRecord)
	}
	sum := crc32.Checksum(text[:len(text)-1], castagnoli)
	return append(fmt.Appendf(nil, "%08x %d ", sum, len(text)-1), text...), nil
}

// parseRecord reads a line without its line break. The error says what is
// wrong with it.
func parseRecord(line []byte) (record, error) {
	var r record
	sum, rest, ok := bytes.Cut(line, []byte(" "))
	length, text, ok2 := bytes.Cut(rest, []byte(" "))
	raw, err := hex.DecodeString(string(sum))
	if !ok || !ok2 || err != nil || len(raw) != 4 {
		return r, fmt.Errorf("it does not begin with a checksum and a length")
	}
	n, err := strconv.Atoi(string(length))
	if err != nil || n != len(text) {
		return r, fmt.Errorf("it has %d bytes, and %q is written in front of them", len(text), clip(length))
	}
	want := uint32(raw[0])<<24 | uint32(raw[1])<<16 | uint32(raw[2])<<8 | uint32(raw[3])
	if got := crc32.Checksum(text, castagnoli); got != want {
		return r, fmt.Errorf("its checksum is %08x, and %08x is written in front of it", got, want)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return r, fmt.Errorf("it is not a record: %w", err)
	}
	return r, nil
}

func clip(b []byte) []byte { return b[:min(len(b), 32)] }

// contents is what a file says.
type contents struct {
	meta    map[string]string
	whole   uint64   // so many records cannot be torn
	records []record // 1 and later
	valid   int64    // bytes up to the torn end
	torn    int64    // bytes behind them
}

// parse reads a file. name is for messages.
func parse(name string, data []byte) (*contents, error) {
	if !bytes.HasPrefix(data, []byte(header)) {
		return nil, foreign(name, data)
	}
	c := &contents{valid: int64(len(header))}
	var broken error
	for number, rest := 2, data[len(header):]; len(rest) > 0; number++ {
		line, after, complete := bytes.Cut(rest, []byte("\n"))
		r, err := parseRecord(line)
		if err == nil && !complete {
			err = fmt.Errorf("its line does not end")
		}
		next := uint64(len(c.records))
		if c.meta != nil {
			next++
		}
		switch {
		case err == nil && broken != nil && r.Durable >= next:
			return nil, fmt.Errorf("%s: %w; record %d was written after that, so that changes are damaged which were acknowledged. Nothing was changed: restore the file from a copy, or start with another one", name, broken, r.Seq)
		case err != nil && broken == nil:
			broken = fmt.Errorf("line %d, byte %d: the record cannot be read: %w", number, c.valid, err)
		case err == nil && broken == nil && (r.Seq != next || (next == 0) != (r.Meta != nil)):
			return nil, fmt.Errorf("%s: line %d, byte %d: record %d stands where record %d belongs. Nothing was changed: restore the file from a copy, or start with another one", name, number, c.valid, r.Seq, next)
		case err == nil && broken == nil && next == 0:
			c.meta, c.whole = r.Meta, r.Whole
		case err == nil && broken == nil:
			c.records = append(c.records, r)
		}
		if broken == nil {
			c.valid += int64(len(line)) + 1
		}
		rest = after
		if err != nil {
			rest = data[len(data)-len(rest)-hidden(line):]
		}
	}
	if c.meta == nil {
		// A new file appears with its first record or not at all.
		if broken == nil {
			broken = fmt.Errorf("it ends after the first line")
		}
		return nil, fmt.Errorf("%s: %w. Nothing was changed: restore the file from a copy, or start with another one", name, broken)
	}
	if n := uint64(len(c.records)); n < c.whole {
		if broken == nil {
			broken = fmt.Errorf("it ends after record %d", n)
		}
		return nil, fmt.Errorf("%s: %w; it began with %d records, so that changes are damaged which were acknowledged. Nothing was changed: restore the file from a copy, or start with another one", name, broken, c.whole)
	}
	c.torn = int64(len(data)) - c.valid
	return c, nil
}

// hidden is how many bytes at the end of a broken line, its line break
// included, may be the next record: the line is longer than it says, as if
// the line break between the two were damaged.
func hidden(line []byte) int {
	_, rest, _ := bytes.Cut(line, []byte(" "))
	length, text, _ := bytes.Cut(rest, []byte(" "))
	n, err := strconv.Atoi(string(length))
	if err != nil || n < 0 || n+1 >= len(text) {
		return 0
	}
	return len(text) - n
}

func foreign(name string, data []byte) error {
	first, _, _ := bytes.Cut(data, []byte("\n"))
	if v, ok := bytes.CutPrefix(first, []byte(magic)); ok && len(v) < 10 {
		return fmt.Errorf("%s: a state file of version %q; this hnsim reads version %s. Nothing was changed: use the hnsim that wrote it, or start with another file", name, v, version)
	}
	return fmt.Errorf("%s: not a state file: it begins with %q, expected %q. Nothing was changed: name another file", name, clip(first), magic+version)
}
