package script

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/backends"
)

func (w *fakeWorld) ProgramPath(file string) string { return "Z:" + filepath.ToSlash(file) }

// RunProgram knows a few programs by the names of their files.
func (w *fakeWorld) RunProgram(_ context.Context, p backends.Program) (backends.ProgramResult, error) {
	record(w.fake.programs, p)
	var res backends.ProgramResult
	if len(p.Args) == 0 {
		p.Args = []string{""}
	}
	switch name := strings.TrimSuffix(filepath.Base(p.Path), ".exe"); name {
	case "echo":
		res.Stdout = fmt.Appendf(nil, "%s\r\n%s", strings.Join(p.Args, " "), p.Stdin)
		res.Stderr = []byte("a note\r\n")
	case "fail":
		res.ExitCode, res.Stdout, res.Stderr = 7, []byte(`{"code":100,"msg":"no network"}`), []byte("oh\r\nno\r\n")
	case "hang":
		res.TimedOut = true
	case "broken":
		return res, fmt.Errorf("wine fell over")
	case "cat":
		data, err := os.ReadFile(filepath.Join(p.Dir, p.Args[0]))
		if err != nil {
			return res, err
		}
		res.Stdout = data
	case "plug": // makes an endpoint: its name, and whole document
		id := fmt.Sprintf("00000000-0000-0000-0001-%012d", len(w.ids)+1)
		doc := map[string]any{"ID": id, "Name": p.Args[0], "MacAddress": "02-00-00-00-00-77", "IpConfigurations": []any{map[string]any{"IpAddress": "10.1.0.77", "PrefixLength": 24}}}
		if len(p.Args) > 1 {
			key, value, _ := strings.Cut(p.Args[1], "=")
			doc[key] = value
			if key == "SharedContainers" {
				doc[key] = []string{value}
			}
		}
		w.ids = append(w.ids, id)
		w.docs[id], _ = json.Marshal(doc)
		res.Calls = []backends.ProgramCall{
			{Function: "HNSCall", Args: []string{"GET", "/Networks/", ""}},
			{Function: "HcnCreateEndpoint", Args: []string{"{}"}},
			{Function: "HcnOpenNamespace", HResult: 0x80070490},
		}
		res.LeakedHandles = 2
	}
	return res, nil
}

// withPrograms makes the files of the fake's programs.
func withPrograms(t *testing.T) Options {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"echo.exe", "fail.exe", "hang", "broken.exe", "cat.exe", "plug.exe"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return Options{Programs: []string{dir}}
}

func TestProgramsRun(t *testing.T) {
	for _, test := range []struct{ name, script string }{
		{"their output is that of the word", "exec h1 echo a=b 'c d'\nstdout '^a=b c d$'\nstderr '^a note$'\n! calls ."},
		{"they read a file, variables replaced", "exec h1 stdin=in.txt echo\nstdout '^from 10.1.0.10$'\n-- in.txt --\nfrom ${ip:c1}\n"},
		{"files lie in their folder and stay there", "exec h1 files=a.txt,sub/b.txt cat a.txt\nstdout one\nexec h1 cat sub/b.txt\nstdout two\n-- a.txt --\none\n-- sub/b.txt --\ntwo\n"},
		{"a failure is expected behind !", "! exec h1 fail\nstderr '^no$'\nstdout 'no network'\njson code is=100"},
		{"golden text of a program", "exec h1 echo x\ncmp stdout want.txt\n-- want.txt --\nx\n"},
		{"values of JSON are kept", "exec h1 files=doc.json cat doc.json\njson ips[0].address is=10.1.0.5/24 save=addr\njson ips[1] save=second\njson save=all\n! json ips[0].address is=10.1.0.6/24\n! json ips[7]\njson IPS[len] is=2\necho $addr $second $all\nstdout '^10.1.0.5/24 {'\n-- doc.json --\n{\"ips\":[{\"address\":\"10.1.0.5/24\"},{\"address\":\"fd00::5/64\"}]}\n"},
		{"kept values have any form", "exec h1 echo '[\"10.1.0.20\",\"02-00-00-00-00-03\"]'\njson [0] save=addr\njson [1] save=mac\nsend c1 udp > $addr:53\nexpect c3 eth.dst=${mac}"},
		{"an endpoint in a namespace becomes a role", `
namespace h1 ns1
exec h1 plug c9_n HostComputeNamespace=${id:ns1}
cmp calls want.calls
calls count=1 '^HcnOpenNamespace 0x80070490$'
calls '^leaked 2 handles$'
adopt p9 h1 name=c9_n
send c1 udp > ${ip:p9}:53
expect p9 udp eth.dst=${mac:p9}
-- want.calls --
HNSCall GET /networks/
HcnCreateEndpoint
HcnOpenNamespace 0x80070490
leaked 2 handles
`},
		{"an endpoint is found by id", "exec h1 plug a HostComputeNamespace=x\nexec h1 plug a HostComputeNamespace=y\nadopt p9 h1 id=00000000-0000-0000-0001-000000000006 isolation=hyperv"},
		{"an endpoint in a container that waits for it", "container c9 h1 endpoints=none\nexec h1 plug c9_n SharedContainers=C9\nadopt c9 h1 name=c9_n\necho ${ip:c9}\nstdout 10.1.0.77"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if res := mkRun(t, &fake{}, test.script, withPrograms(t)); res.Status != Passed {
				t.Errorf("%s: %s\n%s", res.Status, res.Reason, res.Log)
			}
		})
	}
}

func TestProgramsThatDoNotDoAsTheScenarioSays(t *testing.T) {
	for _, test := range []struct {
		name, script       string
		status             Status
		expected, received string
	}{
		{"a failure", "exec h1 fail", Failed, "success", "fail ended with exit code 7: oh no {\"code\":100"},
		{"a success", "! exec h1 echo", Failed, "a refusal", "success"},
		{"no end, with ! too", "! exec h1 timeout=2s hang", Failed, "hang to end within 2s", "it still ran; it said: nothing"},
		{"no program", "exec h1 eccho", Error, "a line that makes sense", `no program "eccho" in area, `},
		{"no program beside the scenario", "exec h1 ./echo", Error, "a line that makes sense", "in area: build it, or name its folder with --programs"},
		{"a launcher that does not work", "exec h1 broken", Error, "a backend that works", "wine fell over"},
		{"a value that differs", "exec h1 echo 7\njson is=8", Failed, `"8"`, `"7"`},
		{"output that is no JSON", "exec h1 echo a\njson b", Failed, "a value there", "no JSON"},
		{"no such endpoint", "exec h1 plug a\nadopt p h1 name=b", Failed, "one endpoint b on h1", "endpoints a, c1, c2, c3"},
		{"an endpoint in no namespace", "exec h1 plug a\nadopt p h1 name=a", Failed, "endpoint a in a namespace", "it is in none"},
		{"an endpoint of somebody else", "container c9 h1 endpoints=none\nexec h1 plug a SharedContainers=c8\nadopt c9 h1 name=a", Failed, "endpoint a in container c9", `it is in ["c8"]`},
		{"two endpoints of one name", "exec h1 plug a\nexec h1 plug a\nadopt p h1 name=a", Failed, "one endpoint a", "2 of them"},
		{"calls that were not made", "exec h1 echo\ncalls HcnCreateEndpoint", Failed, "calls that matches 'HcnCreateEndpoint'", "nothing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			res := mkRun(t, &fake{}, test.script, withPrograms(t))
			if res.Status != test.status || res.Failure == nil {
				t.Fatal(res.Status, res.Reason)
			}
			if !strings.Contains(res.Failure.Expected, test.expected) || !strings.Contains(res.Failure.Received, test.received) {
				t.Errorf("expected %q, received %q", res.Failure.Expected, res.Failure.Received)
			}
		})
	}
}

func TestAProgramIsStartedAsTheLineSays(t *testing.T) {
	var programs []backends.Program
	opt := withPrograms(t)
	res := mkRun(t, &fake{programs: &programs}, "env A=1 B=2\nenv P=${dir:programs} W=${dir:work}\nexec h2 env=B=3 timeout=4s tick=5ms echo -x", opt)
	if res.Status != Passed {
		t.Fatal(res.Reason)
	}
	p := programs[0]
	if p.Host != "h2" || p.Path != filepath.Join(opt.Programs[0], "echo.exe") || fmt.Sprint(p.Args) != "[-x]" || p.Timeout != 4*time.Second || p.Tick != 5*time.Millisecond {
		t.Errorf("%+v", p)
	}
	here, err := filepath.Abs("area")
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("[A=1 B=2 P=Z:%s;Z:%s W=Z:%s B=3]", here, opt.Programs[0], p.Dir)
	if got := fmt.Sprint(p.Env); got != want {
		t.Errorf("environment\n%s\nwant\n%s", got, want)
	}
	if _, err := os.Stat(p.Dir); !os.IsNotExist(err) {
		t.Errorf("the folder %s was left: %v", p.Dir, err)
	}
}

func TestProgramsBringTheirTime(t *testing.T) {
	sc := mkScenario(t, mkSource("exec h1 echo\nexec h1 timeout=5s echo"))
	if sc.ProgramTime != defaultProgramTime+5*time.Second {
		t.Error(sc.ProgramTime)
	}
	if sc := mkScenario(t, mkSource("echo")); sc.ProgramTime != 0 {
		t.Error(sc.ProgramTime)
	}
}

func TestWithoutProgramsTheScenarioIsSkippedAndSaysWhy(t *testing.T) {
	f := &fake{without: []backends.Capability{backends.Programs}, whyNot: "no wine: install wine64"}
	res := mkRun(t, f, "exec h1 echo")
	if want := "needs capability programs: no wine: install wine64"; res.Status != Skipped || res.Reason != want {
		t.Errorf("%s: %s", res.Status, res.Reason)
	}
}
