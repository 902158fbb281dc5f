package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// DefaultFile is read when it exists in the working directory. HNSIM_CONFIG
// names another one, which must exist.
const DefaultFile = "hnsim.json"

// maxFileBytes bounds the configuration file.
const maxFileBytes = 1 << 20

// Value is one setting and where it came from.
type Value struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Origin string `json:"origin"` // "flag", "HNSIM_SEED", "hnsim.json", "default"
}

// File is a configuration file: a JSON object whose keys are names of flags.
type File struct {
	Path string
	Keys map[string]json.RawMessage
}

// ReadFile finds and reads the configuration file. Without one it returns an
// empty File.
func ReadFile(env func(string) string) (*File, error) {
	path, must := env("HNSIM_CONFIG"), true
	if path == "" {
		path, must = DefaultFile, false
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && !must {
		return &File{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if len(text) > maxFileBytes {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxFileBytes)
	}
	return Parse(path, text)
}

// Parse reads the text of a configuration file.
func Parse(path string, text []byte) (*File, error) {
	out := &File{Path: path}
	if err := json.Unmarshal(text, &out.Keys); err != nil {
		return nil, fmt.Errorf("%s:%d: not a JSON object of settings: %w", path, lineOf(text, err), err)
	}
	return out, nil
}

func lineOf(text []byte, err error) int {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return 1 + bytes.Count(text[:min(int(syntax.Offset), len(text))], []byte("\n"))
	}
	return 1
}

// EnvName is the environment variable of a flag: HNSIM_STOP_ON for stop-on.
func EnvName(flag string) string {
	return "HNSIM_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// CheckKeys reports keys of the file that no command has a flag for. Known
// lists the flags of all commands; suggest finds what was meant, or "".
func (f *File) CheckKeys(known []string, suggest func(string, []string) string) error {
	for _, key := range slices.Sorted(maps.Keys(f.Keys)) {
		if slices.Contains(known, key) {
			continue
		}
		if s := suggest(key, known); s != "" {
			return fmt.Errorf("%s: unknown setting %q; did you mean %q?", f.Path, key, s)
		}
		return fmt.Errorf("%s: unknown setting %q; `hnsim version --config` lists them", f.Path, key)
	}
	return nil
}

// Apply sets the flags that were not given on the command line and returns
// all of them with their origin, by name.
func Apply(flags *pflag.FlagSet, env func(string) string, file *File) ([]Value, error) {
	var out []Value
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		origin, err := apply(flags, f, env, file)
		if err != nil {
			errs = append(errs, err)
		}
		out = append(out, Value{f.Name, f.Value.String(), origin})
	})
	return out, errors.Join(errs...)
}

func apply(flags *pflag.FlagSet, f *pflag.Flag, env func(string) string, file *File) (string, error) {
	if f.Changed {
		return "flag", nil
	}
	if text := env(EnvName(f.Name)); text != "" {
		if err := flags.Set(f.Name, text); err != nil {
			return "", fmt.Errorf("%s=%s: %w", EnvName(f.Name), text, PlainError(err))
		}
		return EnvName(f.Name), nil
	}
	raw, ok := file.Keys[f.Name]
	if !ok {
		return "default", nil
	}
	texts, err := flagTexts(raw)
	if err != nil {
		return "", fmt.Errorf("%s: %s: %w", file.Path, f.Name, err)
	}
	for _, text := range texts {
		if err := flags.Set(f.Name, text); err != nil {
			return "", fmt.Errorf("%s: %s: %w", file.Path, f.Name, PlainError(err))
		}
	}
	return file.Path, nil
}

// flagTexts turns a JSON value into what would stand on a command line: a list
// repeats the flag, an object repeats it with name=value.
func flagTexts(raw json.RawMessage) ([]string, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber() // seeds have 64 bits
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case []any:
		var out []string
		for _, e := range v {
			text, err := scalar(e)
			if err != nil {
				return nil, err
			}
			out = append(out, text)
		}
		return out, nil
	case map[string]any:
		var out []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			text, err := scalar(v[name])
			if err != nil {
				return nil, err
			}
			out = append(out, name+"="+text)
		}
		return out, nil
	}
	text, err := scalar(v)
	return []string{text}, err
}

func scalar(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		return fmt.Sprint(v), nil
	}
	return "", fmt.Errorf("expected a string, number, boolean, or a list or object of these, found %T", v)
}
