package settings

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func mkFlags(args ...string) *pflag.FlagSet {
	fs := pflag.NewFlagSet("run", pflag.ContinueOnError)
	fs.String("backend", "sim", "")
	fs.Uint64("seed", 1, "")
	fs.StringArray("knob", nil, "")
	fs.Bool("keep", false, "")
	if err := fs.Parse(args); err != nil {
		panic(err)
	}
	return fs
}

func none(string) string { return "" }

func noSuggestion(string, []string) string { return "" }

func TestAFlagBeatsTheEnvironmentWhichBeatsTheFile(t *testing.T) {
	file, err := Parse("hnsim.json", []byte(`{"backend":"file","seed":18446744073709551615,"knob":{"b":2,"a":"x"},"keep":true}`))
	if err != nil {
		t.Fatal(err)
	}
	env := func(name string) string {
		return map[string]string{"HNSIM_BACKEND": "env", "HNSIM_KEEP": "false"}[name]
	}
	fs := mkFlags("--backend", "flag")
	values, err := Apply(fs, env, file)
	if err != nil {
		t.Fatal(err)
	}
	want := []Value{
		{"backend", "flag", "flag"},
		{"keep", "false", "HNSIM_KEEP"},
		{"knob", "[a=x,b=2]", "hnsim.json"},
		{"seed", "18446744073709551615", "hnsim.json"},
	}
	for i, w := range want {
		if values[i] != w {
			t.Errorf("got %+v, want %+v", values[i], w)
		}
	}
}

func TestWithoutAnythingTheDefaultsHold(t *testing.T) {
	t.Chdir(t.TempDir())
	file, err := ReadFile(none)
	if err != nil {
		t.Fatal(err)
	}
	values, err := Apply(mkFlags(), none, file)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		if v.Origin != "default" {
			t.Errorf("%+v", v)
		}
	}
}

func TestBadSettingsNameTheirPlace(t *testing.T) {
	tests := []struct{ name, file, envName, envValue, want string }{
		{"no JSON", "{\n\n\"a\" 1}", "", "", "hnsim.json:3: not a JSON object"},
		{"a list", "[1]", "", "", "hnsim.json:1: not a JSON object"},
		{"a number that is none", `{"seed":"many"}`, "", "", "hnsim.json: seed: "},
		{"a nested value", `{"knob":[{"a":1}]}`, "", "", "hnsim.json: knob: expected a string"},
		{"null", `{"backend":null}`, "", "", "hnsim.json: backend: expected a string"},
		{"the environment", `{}`, "HNSIM_SEED", "-1", "HNSIM_SEED=-1: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if err := os.WriteFile("hnsim.json", []byte(tt.file), 0o644); err != nil {
				t.Fatal(err)
			}
			env := func(name string) string {
				if name == tt.envName {
					return tt.envValue
				}
				return ""
			}
			file, err := ReadFile(env)
			if err == nil {
				_, err = Apply(mkFlags(), env, file)
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestAnUnknownSettingIsAnErrorWithASuggestion(t *testing.T) {
	file := &File{Path: "hnsim.json", Keys: map[string]json.RawMessage{"sede": nil}}
	err := file.CheckKeys([]string{"seed"}, func(string, []string) string { return "seed" })
	if err == nil || err.Error() != `hnsim.json: unknown setting "sede"; did you mean "seed"?` {
		t.Errorf("got %v", err)
	}
	if err := file.CheckKeys([]string{"seed"}, noSuggestion); err == nil {
		t.Error("accepted")
	}
}

func TestANamedFileMustExist(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "x.json")
	_, err := ReadFile(func(name string) string {
		if name == "HNSIM_CONFIG" {
			return missing
		}
		return ""
	})
	if err == nil {
		t.Error("accepted")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"backend":"sim","seed":7,"knob":{"a":1},"keep":true}`))
	f.Add([]byte(`{"knob":["a=b"],"backend":{}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse("f", text)
		if err != nil {
			return
		}
		// Only the absence of panics is checked: values may be bad.
		_, _ = Apply(mkFlags(), none, file)
	})
}
