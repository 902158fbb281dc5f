package hns

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// tagPrefix begins the names of everything that this backend makes.
const tagPrefix = "hnsim-"

// Tag marks what one run has made: names of objects begin with "hnsim-TAG-",
// and the journal of the run has the ids of what has no name.
type Tag string

var tagged = regexp.MustCompile(`^hnsim-([0-9a-f]{8})-`)

// TagOf finds the tag in an object's name.
func TagOf(name string) (t Tag, ok bool) {
	m := tagged.FindStringSubmatch(name)
	if m == nil {
		return "", false
	}
	return Tag(m[1]), true
}

// prefix is what stands before the name that the scenario gives.
func (t Tag) prefix() string { return tagPrefix + string(t) + "-" }

// mark puts the tag before the name in a document. A document without a name
// gets one if it must have it. All other bytes stay.
func (t Tag) mark(doc []byte, must bool) ([]byte, error) {
	start, end, err := memberRange(doc, "Name")
	if err != nil {
		return doc, nil // HNS says what is wrong with it
	}
	if start < 0 {
		open := bytes.IndexByte(doc, '{')
		if !must || open < 0 {
			return doc, nil
		}
		sep := ","
		if rest := bytes.TrimSpace(doc[open+1:]); len(rest) > 0 && rest[0] == '}' {
			sep = ""
		}
		return splice(doc, open+1, open+1, fmt.Sprintf(`"Name":%q%s`, t.prefix(), sep)), nil
	}
	var name string
	if json.Unmarshal(doc[start:end], &name) != nil {
		return doc, nil
	}
	quoted, err := json.Marshal(t.prefix() + name)
	if err != nil {
		return nil, err
	}
	return splice(doc, start, end, string(quoted)), nil
}

// unmark takes the tag out of what HNS returns, wherever it begins a string.
func (t Tag) unmark(doc []byte) []byte {
	return bytes.ReplaceAll(doc, []byte(`"`+t.prefix()), []byte(`"`))
}

func splice(doc []byte, start, end int, text string) []byte {
	out := make([]byte, 0, len(doc)+len(text))
	return append(append(append(out, doc[:start]...), text...), doc[end:]...)
}

// memberRange is where the value of a top-level member stands in a document;
// -1 if there is no such member. Names are compared without case, as HNS does.
func memberRange(doc []byte, name string) (start, end int, err error) {
	dec := json.NewDecoder(bytes.NewReader(doc))
	tok, err := dec.Token()
	if err != nil {
		return -1, -1, err
	}
	if tok != json.Delim('{') {
		return -1, -1, fmt.Errorf("found %v, expected an object", tok)
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return -1, -1, err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return -1, -1, err
		}
		if k, _ := key.(string); strings.EqualFold(k, name) {
			end := int(dec.InputOffset())
			return end - len(value), end, nil
		}
	}
	return -1, -1, nil
}
