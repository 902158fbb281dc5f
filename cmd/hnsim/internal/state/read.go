package state

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// Schema names the version of the zip's manifest. A reader refuses another
// major version.
const Schema = "hnsim.state/1"

// Limits of what is read.
const (
	MaxBytes   = 64 << 20
	maxFiles   = 64
	maxObjects = 20000
)

// manifest is the file of the zip that says what the others are.
type manifest struct {
	Schema  string `json:"schema"`
	Host    string `json:"host,omitempty"`
	Version string `json:"hnsVersion,omitempty"`
	Build   int    `json:"osBuild,omitempty"`
	Arch    string `json:"arch,omitempty"`
}

const manifestFile = "manifest.json"

// Read reads a zip of collect, or JSON: an object, a list of objects, or the
// answer of HNS around them, in UTF-8 or UTF-16. It adds to s.
func (s *State) Read(name string, data []byte) error {
	if len(data) > MaxBytes {
		return fmt.Errorf("%s: %d bytes, expected at most %d", name, len(data), MaxBytes)
	}
	if bytes.HasPrefix(data, []byte("PK\x03\x04")) || bytes.HasPrefix(data, []byte("PK\x05\x06")) {
		return s.readZip(name, data)
	}
	return s.readJSON(name, "", data)
}

// readJSON reads what Get-Hns* | ConvertTo-Json prints. kind is what the objects
// are, if that is known.
func (s *State) readJSON(name, kind string, data []byte) error {
	text, err := utf8Of(data)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return fmt.Errorf("%s: it is empty; expected the output of Get-HnsNetwork | ConvertTo-Json -Depth 20 or a zip of hnsim collect", name)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	for n := 0; ; n++ {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		if errors.Is(err, io.EOF) && n > 0 {
			return nil
		}
		if err != nil {
			at := dec.InputOffset()
			var syntax *json.SyntaxError
			if errors.As(err, &syntax) {
				at = max(at, syntax.Offset)
			}
			return fmt.Errorf("%s:%d: not JSON: %w; expected the output of Get-HnsNetwork | ConvertTo-Json -Depth 20, or a zip of hnsim collect",
				name, 1+bytes.Count(text[:min(int(at), len(text))], []byte("\n")), err)
		}
		if err := s.take(raw, kind, ""); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}

// utf8Of is the text without byte order mark. Windows PowerShell's > writes
// UTF-16.
func utf8Of(data []byte) ([]byte, error) {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(data, []byte{0xef, 0xbb, 0xbf}):
		data = data[3:]
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}):
		order, data = binary.LittleEndian, data[2:]
	case bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		order, data = binary.BigEndian, data[2:]
	case len(data) > 1 && data[1] == 0 && data[0] != 0: // without a mark
		order = binary.LittleEndian
	}
	if order == nil {
		if !utf8.Valid(data) {
			return nil, errors.New("it is neither UTF-8 nor UTF-16 with a byte order mark; save it with Out-File -Encoding utf8")
		}
		return data, nil
	}
	if len(data)%2 != 0 {
		return nil, errors.New("it begins as UTF-16 and has an odd number of bytes: it is cut off")
	}
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	return []byte(string(utf16.Decode(units))), nil
}

// take adds a value: an object, a list, or the envelope of an answer.
func (s *State) take(raw json.RawMessage, kind, at string) error {
	raw = bytes.TrimSpace(raw)
	if len(raw) > 0 && raw[0] == '[' {
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return err
		}
		for i, r := range list {
			if err := s.take(r, kind, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
		return nil
	}
	if len(raw) == 0 || raw[0] != '{' {
		return fmt.Errorf("%sexpected an object or a list of objects, found %s", place(at), clip(raw))
	}
	var envelope struct {
		Success *bool
		Output  json.RawMessage
		Error   string
		// Of PowerShell, around a list that is a property.
		Value json.RawMessage `json:"value"`
		Count *int
	}
	if json.Unmarshal(raw, &envelope) == nil {
		switch {
		case envelope.Success != nil && !*envelope.Success:
			return fmt.Errorf("%sthis is a refusal of HNS, no object: %s", place(at), envelope.Error)
		case envelope.Success != nil && len(envelope.Output) > 0:
			return s.take(envelope.Output, kind, at+".Output")
		case envelope.Count != nil && len(envelope.Value) > 0:
			return s.take(envelope.Value, kind, at+".value")
		}
	}
	n := 0
	for _, list := range s.Objects {
		n += len(list)
	}
	if n >= maxObjects {
		return fmt.Errorf("%smore than %d objects", place(at), maxObjects)
	}
	if kind == "" {
		kind = kindOf(raw)
	}
	if err := s.AddKind(kind, raw); err != nil {
		return fmt.Errorf("%s%w", place(at), err)
	}
	return nil
}

func place(at string) string {
	if at == "" {
		return ""
	}
	return "at " + strings.TrimPrefix(at, ".") + ": "
}

// readZip reads what WriteZip has written.
func (s *State) readZip(name string, data []byte) error {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return fmt.Errorf("%s: the zip cannot be read: %w", name, err)
	}
	if len(z.File) > maxFiles {
		return fmt.Errorf("%s: %d files, expected at most %d", name, len(z.File), maxFiles)
	}
	files := map[string][]byte{}
	room := int64(MaxBytes)
	for _, f := range z.File {
		if path.Base(f.Name) != f.Name {
			return fmt.Errorf("%s: %q is in a folder; expected the files of hnsim collect", name, f.Name)
		}
		if _, twice := files[f.Name]; twice {
			return fmt.Errorf("%s: %s is there twice", name, f.Name)
		}
		r, err := f.Open()
		if err != nil {
			return fmt.Errorf("%s: %s: %w", name, f.Name, err)
		}
		b, err := io.ReadAll(io.LimitReader(r, room+1))
		r.Close()
		if err != nil {
			return fmt.Errorf("%s: %s: %w", name, f.Name, err)
		}
		if room -= int64(len(b)); room < 0 {
			return fmt.Errorf("%s: more than %d bytes when unpacked", name, MaxBytes)
		}
		files[f.Name] = b
	}
	return s.fromFiles(name, files)
}

func (s *State) fromFiles(name string, files map[string][]byte) error {
	var m manifest
	text, ok := files[manifestFile]
	if !ok {
		return fmt.Errorf("%s: no %s: expected a zip of hnsim collect", name, manifestFile)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("%s: %s: %w", name, manifestFile, err)
	}
	if m.Schema != Schema {
		return fmt.Errorf("%s: %s has the schema %q, expected %q", name, manifestFile, m.Schema, Schema)
	}
	s.Host, s.Version, s.Build, s.Arch = m.Host, m.Version, m.Build, m.Arch
	for _, kind := range Kinds {
		if b, ok := files[kind+"s.json"]; ok {
			if err := s.readJSON(name+": "+kind+"s.json", kind, b); err != nil {
				return err
			}
			delete(files, kind+"s.json")
		}
	}
	delete(files, manifestFile)
	for f, b := range files {
		base, ok := strings.CutSuffix(f, ".json")
		if !ok || !json.Valid(b) {
			return fmt.Errorf("%s: %s is not JSON", name, f)
		}
		if s.Other == nil {
			s.Other = map[string]json.RawMessage{}
		}
		s.Other[base] = b
	}
	return nil
}

// WriteZip writes everything. Equal states give equal bytes.
func (s *State) WriteZip(w io.Writer) error {
	z := zip.NewWriter(w)
	m, err := json.MarshalIndent(manifest{Schema, s.Host, s.Version, s.Build, s.Arch}, "", " ")
	if err != nil {
		return err
	}
	type file struct {
		name string
		text []byte
	}
	files := []file{{manifestFile, m}}
	for _, kind := range Kinds {
		list := make([]json.RawMessage, 0, len(s.Objects[kind]))
		for _, o := range s.Objects[kind] {
			list = append(list, o.Doc)
		}
		b, err := json.MarshalIndent(list, "", " ")
		if err != nil {
			return err
		}
		files = append(files, file{kind + "s.json", b})
	}
	for name, b := range s.Other {
		if slices.ContainsFunc(files, func(f file) bool { return f.name == name+".json" }) {
			return fmt.Errorf("%s is the name of a list of objects", name)
		}
		files = append(files, file{name + ".json", b})
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	for _, f := range files {
		// Without a date: the file's own says when.
		part, err := z.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: time.Time{}})
		if err == nil {
			_, err = part.Write(f.text)
		}
		if err != nil {
			return err
		}
	}
	return z.Close()
}
