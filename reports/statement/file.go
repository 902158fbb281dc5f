package statement

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxBytes bounds a document that is read.
const MaxBytes = 8 << 20

// WriteYAML writes the document.
func (r *Report) WriteYAML(w io.Writer) error {
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	return errors.Join(enc.Encode(r), enc.Close())
}

// WriteJSON writes it as JSON.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

// Parse reads a document of either form. Members that it does not know are
// errors: a statement says nothing in passing.
func Parse(name string, text []byte) (*Report, error) {
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("%s: %d bytes, expected at most %d", name, len(text), MaxBytes)
	}
	dec := yaml.NewDecoder(bytes.NewReader(text)) // JSON is YAML, too
	dec.KnownFields(true)
	r := new(Report)
	if err := dec.Decode(r); err != nil {
		return nil, fmt.Errorf("%s: no conformance report: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if r.APIVersion != APIVersion || r.Kind != Kind {
		return nil, fmt.Errorf("%s: apiVersion %q, kind %q; expected %q, %q", name, r.APIVersion, r.Kind, APIVersion, Kind)
	}
	return r, nil
}

// Differences lists the members in which a statement differs from what the
// results say: "profiles[3].core.result: claims success, the results say failure".
func (r *Report) Differences(results *Report) []string {
	var out []string
	differ("", reflect.ValueOf(*r), reflect.ValueOf(*results), &out)
	return out
}

func differ(path string, a, b reflect.Value, out *[]string) {
	const enough = 50
	if len(*out) >= enough {
		return
	}
	switch {
	case a.Kind() == reflect.Struct:
		for i := range a.NumField() {
			name, _, _ := strings.Cut(a.Type().Field(i).Tag.Get("json"), ",")
			at := path
			if name != "" {
				at = strings.TrimPrefix(path+"."+name, ".")
			}
			differ(at, a.Field(i), b.Field(i), out)
		}
	case a.Kind() == reflect.Pointer && !a.IsNil() && !b.IsNil():
		differ(path, a.Elem(), b.Elem(), out)
	case a.Kind() == reflect.Slice && a.Len() == b.Len():
		for i := range a.Len() {
			differ(fmt.Sprintf("%s[%d]", path, i), a.Index(i), b.Index(i), out)
		}
	case a.Kind() == reflect.Slice && a.Len()+b.Len() == 0:
	case !reflect.DeepEqual(a.Interface(), b.Interface()):
		*out = append(*out, fmt.Sprintf("%s: claims %s, the results say %s", path, shown(a), shown(b)))
	}
}

func shown(v reflect.Value) string {
	b, err := json.Marshal(v.Interface())
	if err != nil {
		return fmt.Sprint(v.Interface())
	}
	const limit = 120
	if len(b) > limit {
		return string(b[:limit]) + "..."
	}
	return string(b)
}

// Missing lists what an implementation must say of itself and does not.
func (i Implementation) Missing() (out []string) {
	for _, f := range []struct{ name, value string }{{"organization", i.Organization}, {"project", i.Project}, {"url", i.URL}, {"version", i.Version}} {
		if f.value == "" {
			out = append(out, f.name)
		}
	}
	if len(i.Contact) == 0 {
		out = append(out, "contact")
	}
	return out
}
