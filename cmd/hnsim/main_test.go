package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
)

var update = flag.Bool("update", false, "rewrite generated files and golden text; read the diff before committing it")

// result is what a command line came to.
type result struct {
	code        int
	out, errOut string
}

// hnsim runs a command line in this process. Env is NAME=value.
func hnsim(t testing.TB, env []string, args ...string) result {
	t.Helper()
	return hnsimContext(t.Context(), env, args...)
}

func hnsimContext(ctx context.Context, env []string, args ...string) result {
	var out, errOut bytes.Buffer
	a := newApp(&out, &errOut, func(name string) string {
		for _, e := range env {
			if n, v, _ := strings.Cut(e, "="); n == name {
				return v
			}
		}
		return ""
	})
	a.now = func() time.Time { return time.Date(2026, 5, 11, 10, 30, 0, 0, time.UTC) }
	code := a.run(ctx, args)
	return result{code, out.String(), errOut.String()}
}

func (r result) check(t *testing.T, code int, out, errOut string) {
	t.Helper()
	if r.code != code || !strings.Contains(r.out, out) || !strings.Contains(r.errOut, errOut) {
		t.Errorf("exit %d, want %d; stdout must have %q, stderr %q\nstdout:\n%s\nstderr:\n%s", r.code, code, out, errOut, r.out, r.errOut)
	}
}

func TestCommandLinesThatMakeNoSenseExitWithTwoAndAHint(t *testing.T) {
	t.Chdir(t.TempDir())
	tests := []struct {
		name string
		env  []string
		args []string
		want string
	}{
		{"an unknown verb", nil, []string{"rnu"}, `unknown command "rnu" for "hnsim"; did you mean "run"?`},
		{"a negative timeout", nil, []string{"run", "--timeout", "-1s"}, "--timeout is -1s: expected a positive time, or 0"},
		{"a negative line", nil, []string{"trace", "S-NAT-01", "--until", "-5"}, "--until is -5: expected the number of a line"},
		{"a packet that is not there", nil, []string{"trace", "S-NAT-01", "--packet", "4000"}, "S-NAT-01 has no such packet, its packets are 1 to 9"},
		{"an output that is no folder", nil, []string{"run", "--out", "/dev/null/x", "-q", "S-NAT-01"}, "--out /dev/null/x: "},
		{"a folder that is not there", nil, []string{"fuzz", "--worlds", "1", "--minimize", "none/x"}, "there is no folder none to write to"},
		{"a coordinator without port", nil, []string{"agent", "--coordinator", "here"}, "expected host:port such as 192.0.2.1:7422"},
		{"too few arguments", nil, []string{"report", "verify", "x"}, `report verify: expected "hnsim report verify report results... [flags]", found "x"`},
		{"an unknown flag", nil, []string{"run", "--sede", "1"}, "unknown flag: --sede"},
		{"an unknown backend", nil, []string{"run", "--backend", "smi"}, "did you mean sim?"},
		{"an unknown profile", nil, []string{"run", "--profile", "ws2020"}, "ws2020"},
		{"an unknown format", nil, []string{"list", "--format", "xml"}, "expected text or json"},
		{"an unknown colour", nil, []string{"list", "--color", "pink"}, "expected auto, always or never"},
		{"quiet and verbose", nil, []string{"list", "-q", "-v"}, "exclude each other"},
		{"a seed that is no number", nil, []string{"run", "--seed", "many"}, "many"},
		{"a shard that is none", nil, []string{"run", "--shard", "3/2"}, "expected i/n"},
		{"a stop word that is none", nil, []string{"run", "--stop-on", "rain"}, "expected fail"},
		{"a knob without value", nil, []string{"run", "--knob", "x"}, "expected name=value"},
		{"negative workers", nil, []string{"run", "--parallel", "-1"}, "--parallel is -1"},
		{"update without a file", nil, []string{"run", "--update"}, "--update rewrites files that are named"},
		{"an unknown column", nil, []string{"list", "--columns", "id,rulse"}, "did you mean rules?"},
		{"two lists at once", nil, []string{"list", "--uncovered", "--missing"}, "uncovered missing"},
		{"an unknown name", nil, []string{"explain", "NAT-113"}, "did you mean"},
		{"an unknown kind", nil, []string{"explain", "colour", "red"}, `no kind "colour"`},
		{"nothing to explain", nil, []string{"explain"}, "[flags]\", found nothing"},
		{"nothing to validate", nil, []string{"validate"}, "FILE... [flags]\", found nothing"},
		{"a file that is not there", nil, []string{"validate", "no.json"}, "no.json"},
		{"a build that is none", nil, []string{"validate", "--build", "1", "no.json"}, "1"},
		{"a shell that is none", nil, []string{"completion", "cmd"}, `"cmd"`},
		{"a bad environment", []string{"HNSIM_SEED=x"}, []string{"run"}, `HNSIM_SEED=x: --seed is "x": expected a whole number that is not negative`},
		{"a configuration that is not there", []string{"HNSIM_CONFIG=none.json"}, []string{"version"}, "none.json"},
		{"a scenario file that is not there", nil, []string{"run", "./no.txtar"}, "no.txtar"},
		{"an expectation file that is not there", nil, []string{"run", "--expect", "no.expect"}, "no.expect"},
		{"an argument to doctor", nil, []string{"doctor", "who"}, "who"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := hnsim(t, tt.env, tt.args...)
			r.check(t, 2, "", tt.want)
			if r.out != "" {
				t.Errorf("stdout is for data: %q", r.out)
			}
			if strings.Count(r.errOut, "hnsim: ") != 1 {
				t.Errorf("said more or less than once:\n%s", r.errOut)
			}
		})
	}
}

func TestAConfigurationFileIsUsedAndChecked(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(text string) {
		if err := os.WriteFile("hnsim.json", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"seed": 42, "knob": {"a": "b"}, "profile": "ws2019"}`)
	r := hnsim(t, []string{"HNSIM_PROFILE=ws2025"}, "version", "--config", "--format", "json")
	r.check(t, 0, "", "")
	var values []struct{ Name, Value, Origin string }
	if err := json.Unmarshal([]byte(r.out), &values); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, v := range values {
		got[v.Name] = v.Value + " " + v.Origin
	}
	for name, want := range map[string]string{"seed": "42 hnsim.json", "knob": "[a=b] hnsim.json", "profile": "ws2025 HNSIM_PROFILE", "parallel": "0 default"} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	write(`{"sede": 42}`)
	hnsim(t, nil, "version").check(t, 2, "", `unknown setting "sede"; did you mean "seed"?`)
}

func TestVersionIsTextOrJSON(t *testing.T) {
	hnsim(t, nil, "version").check(t, 0, "hnsim ", "")
	r := hnsim(t, nil, "version", "--format", "json")
	if !json.Valid([]byte(r.out)) {
		t.Errorf("%s", r.out)
	}
	hnsim(t, nil, "version", "--config").check(t, 0, "HNSIM_SEED", "")
}

func TestExplainKnowsWhatTheModelKnows(t *testing.T) {
	hnsim(t, nil, "explain", "NAT-13").check(t, 0, "rule  NAT-13", "")
	hnsim(t, nil, "explain", "drop", "NatPoolExhausted").check(t, 0, "drop  NatPoolExhausted", "")
	hnsim(t, nil, "explain", "drop").check(t, 0, "NatPoolExhausted\n", "")
	hnsim(t, nil, "explain", "feature", "--format", "json").check(t, 0, `"RemoteSubnet"`, "")
	r := hnsim(t, nil, "explain", "0x803b0013", "--format", "json")
	if !json.Valid([]byte(r.out)) || !strings.Contains(r.out, "HCN_E_PORT_ALREADY_EXISTS") {
		t.Errorf("%s", r.out)
	}
}

func TestValidateFindsWhatIsWrongInADocument(t *testing.T) {
	t.Chdir(t.TempDir())
	good := `{"SchemaVersion":{"Major":2,"Minor":0},"Name":"n","Type":"NAT","Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"172.16.0.0/24"}]}]}`
	for name, text := range map[string]string{"good.json": good, "bad.json": strings.Replace(good, "/24", "/99", 1)} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	hnsim(t, nil, "validate", "good.json").check(t, 0, "", "0 findings")
	hnsim(t, nil, "validate", "bad.json", "--build", "26100,ws2019").check(t, 1, "bad.json:1", "1 file, 1 finding (ws2025, ws2019)")
	r := hnsim(t, nil, "validate", "bad.json", "--format", "json")
	var findings []struct{ File, Path, Found, Expected string }
	if err := json.Unmarshal([]byte(r.out), &findings); err != nil || r.code != 1 || len(findings) != 1 ||
		findings[0].Path != "Ipams[0].Subnets[0].IpAddressPrefix" || !strings.Contains(findings[0].Found, "172.16.0.0/99") {
		t.Errorf("exit %d, %v\n%s", r.code, err, r.out)
	}
}

func TestCompletionScriptsExistForEveryShell(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		hnsim(t, nil, "completion", shell).check(t, 0, "hnsim", "")
	}
	hnsim(t, nil, "__complete", "explain", "NAT-1").check(t, 0, "NAT-13", "")
}

func TestHelpGoesToStdout(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"run", "--help"}} {
		hnsim(t, nil, args...).check(t, 0, "Usage:", "")
	}
}

func TestTheReferenceIsCurrent(t *testing.T) {
	r := hnsim(t, nil, "docs")
	if r.code != 0 {
		t.Fatal(r.errOut)
	}
	const file = "README.md"
	if *update {
		if err := os.WriteFile(file, []byte(r.out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != r.out {
		t.Errorf("cmd/hnsim/%s is out of date: run `make docs`", file)
	}
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestOutputThatCannotBeWrittenIsNoSuccess(t *testing.T) {
	for _, args := range [][]string{{"list"}, {"explain", "NAT-13"}, {"version"}, {"--version"}, {"trace", "S-NAT-01"}, {"help", "run"}} {
		var errOut bytes.Buffer
		code := newApp(full{}, &errOut, func(string) string { return "" }).run(t.Context(), args)
		if code != exit.NotTested || !strings.Contains(errOut.String(), "no space left") {
			t.Errorf("%v: %d, %s", args, code, errOut.String())
		}
	}
}

func TestUsageErrorsSayWhatIsExpected(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"run", "--seed", "x"}, `--seed is "x": expected a whole number`},
		{[]string{"run", "--timeout", "x"}, `--timeout is "x": expected a time such as 90s`},
		{[]string{"run", "--keep=perhaps"}, `--keep is "perhaps": expected true or false`},
		{[]string{"validate"}, `expected "hnsim validate FILE... [flags]", found nothing`},
		{[]string{"help", "nothing"}, `there is no verb "nothing"`},
		{[]string{"run", "--bogus"}, "unknown flag: --bogus; see hnsim run --help"},
	} {
		r := hnsim(t, nil, c.args...)
		if r.code != exit.Usage || !strings.Contains(r.errOut, c.want) {
			t.Errorf("%v: %d, %q, want %q", c.args, r.code, r.errOut, c.want)
		}
	}
}

// PowerShell and Windows' editors begin UTF-8 files with a byte order mark.
func TestByteOrderMarksAreNoText(t *testing.T) {
	text, err := os.ReadFile(mine(t, "passes.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"mine.txtar": "\ufeff" + string(text), "none.expect": "\ufeffskip S-NAT-02 reason=\"x\"\n", "want.csv": "\ufefffrom,to,port,expected\n*,*,tcp:443,closed\ncn1,x,tcp:443,open\n",
		"wide.json": "\xff\xfe{\x00}\x00", "wide.txtar": "\xff\xfe#\x00 \x00",
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	hnsim(t, nil, "run", "./mine.txtar", "-q").check(t, 0, "1 passed", "")
	hnsim(t, nil, "run", "S-NAT-02", "--expect", "none.expect", "-q").check(t, 3, "1 skipped", "")
	if r := hnsim(t, nil, "reach", "S-NAT-01", "--port", "tcp:443", "--expect", "want.csv"); !strings.Contains(r.out, "not as expected") {
		t.Errorf("%d %s%s", r.code, r.out, r.errOut)
	}
	hnsim(t, nil, "run", "./wide.txtar").check(t, 2, "", "wide.txtar:1: the file is UTF-16, expected UTF-8")
	hnsim(t, nil, "reach", "wide.json").check(t, 2, "", "wide.json:1: the file is UTF-16, expected UTF-8")
	hnsim(t, nil, "validate", "wide.json").check(t, 1, "the file is UTF-16", "")
}
