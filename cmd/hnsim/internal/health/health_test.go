package health

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/backends"
)

// fake is a backend whose worlds do nothing but end.
type fake struct {
	featureErr, openErr, closeErr error
	left                          []string
}

type world struct {
	backends.World
	f fake
}

func (f fake) Name() string                             { return "fake" }
func (fake) Capabilities() []backends.Capability        { return []backends.Capability{backends.RawFrames} }
func (w world) Close(context.Context) ([]string, error) { return w.f.left, w.f.closeErr }
func (f fake) Features(string) (backends.FeatureSet, error) {
	return backends.FeatureSet{HNSVersion: "13.3", OSBuild: 20348}, f.featureErr
}
func (f fake) Open(context.Context, backends.WorldConfig) (backends.World, error) {
	return world{f: f}, f.openErr
}

func checkOf(t *testing.T, p *Probe, name string) Check {
	t.Helper()
	for _, c := range p.Run(t.Context()) {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no check %q", name)
	return Check{}
}

func mkProbe(t *testing.T) *Probe {
	return &Probe{
		Backend: fake{}, Profile: "ws2022", Out: filepath.Join(t.TempDir(), "out"), GOOS: "linux",
		LookPath: func(string) (string, error) { return "/usr/bin/tshark", nil },
		Now:      func() time.Time { return time.Date(2026, 5, 11, 0, 0, 0, 0, time.UTC) },
		Tools: &Tools{Distribution: "debian", Wine: "wine-8.0", Compiler: "/usr/bin/gcc", Prefix: "/c/prefix", PrefixReady: true,
			DLLs: "/c/dlls", DLLsBuilt: true, Namespace: "with the privileges of this user"},
	}
}

func TestChecksSayWhatIsWrongAndHowToMendIt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	trouble := errors.New("trouble")
	tests := []struct {
		name, check string
		spoil       func(*Probe)
		want        Level
		text        string
	}{
		{"a backend that works", "backend fake", func(*Probe) {}, OK, "HNS 13.3"},
		{"a backend that is not for this machine", "backend fake", func(p *Probe) { p.Backend = fake{featureErr: trouble} }, Fail, "trouble"},
		{"an unknown profile", "backend fake", func(p *Probe) { p.Backend, p.Profile = fake{featureErr: trouble}, "ws2012" }, Fail, "trouble"},
		{"no world", "backend fake", func(p *Probe) { p.Backend = fake{openErr: trouble} }, Fail, "no world opens: trouble"},
		{"a world without end", "backend fake", func(p *Probe) { p.Backend = fake{closeErr: trouble} }, Fail, "does not close"},
		{"leftovers", "backend fake", func(p *Probe) { p.Backend = fake{left: []string{"network nat"}} }, Warn, "network nat"},
		{"a file in the way", "output", func(p *Probe) { p.Out = file }, Fail, "is a file"},
		{"an output folder to be made", "output", func(*Probe) {}, OK, "reports go to"},
		{"a clock before this program", "clock", func(p *Probe) { p.Now = func() time.Time { return time.Unix(0, 0) } }, Warn, "1970-01-01"},
		{"no tshark", "tshark", func(p *Probe) { p.LookPath = func(string) (string, error) { return "", trouble } }, Warn, "not installed"},
		{"no tshark on a system nobody knows", "tshark", func(p *Probe) {
			p.GOOS = "plan9"
			p.LookPath = func(string) (string, error) { return "", trouble }
		}, Warn, "not installed"},
		{"wine", "wine", func(*Probe) {}, OK, "wine-8.0"},
		{"no wine", "wine", func(p *Probe) { p.Tools = &Tools{Distribution: "debian"} }, Warn, "not installed"},
		{"a wine that does not start", "wine", func(p *Probe) { p.Tools = &Tools{WineErr: trouble} }, Warn, "trouble"},
		{"no wine on Windows", "wine", func(p *Probe) { p.GOOS, p.Tools = "windows", &Tools{} }, OK, "not needed"},
		{"a prefix", "wine prefix", func(*Probe) {}, OK, "ready in /c/prefix"},
		{"a prefix to be made", "wine prefix", func(p *Probe) { p.Tools.PrefixReady = false }, OK, "will make it"},
		{"DLLs", "DLLs", func(*Probe) {}, OK, "current, in /c/dlls"},
		{"DLLs to be built", "DLLs", func(p *Probe) { p.Tools.DLLsBuilt = false }, OK, "will build them"},
		{"no DLLs and no compiler", "DLLs", func(p *Probe) { p.Tools = &Tools{Distribution: "debian"} }, Warn, "no mingw-w64"},
		{"a namespace", "namespace", func(*Probe) {}, OK, "with the privileges"},
		{"no namespace", "namespace", func(p *Probe) { p.Tools = &Tools{NamespaceErr: trouble} }, Warn, "trouble"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mkProbe(t)
			tt.spoil(p)
			c := checkOf(t, p, tt.check)
			if c.Level != tt.want || !strings.Contains(c.Text, tt.text) {
				t.Errorf("%+v", c)
			}
			if (c.Level == OK) != (c.Fix == "") {
				t.Errorf("level %s with fix %q", c.Level, c.Fix)
			}
		})
	}
}

func TestRemediesNameThePackage(t *testing.T) {
	p := mkProbe(t)
	p.Tools = &Tools{Distribution: "debian"}
	for check, want := range map[string]string{"wine": "apt-get install wine64", "DLLs": "apt-get install gcc-mingw-w64-x86-64"} {
		if c := checkOf(t, p, check); !strings.Contains(c.Fix, want) {
			t.Errorf("%s: %q", check, c.Fix)
		}
	}
}

func TestTheWorstCheckCounts(t *testing.T) {
	tests := []struct {
		levels []Level
		want   Level
	}{
		{nil, OK}, {[]Level{OK, Warn, OK}, Warn}, {[]Level{Warn, Fail, Warn}, Fail}, {[]Level{OK}, OK},
	}
	for _, tt := range tests {
		var checks []Check
		for _, l := range tt.levels {
			checks = append(checks, Check{Level: l})
		}
		if got := Worst(checks); got != tt.want {
			t.Errorf("%v: %s", tt.levels, got)
		}
	}
}

func TestDoctorLeavesNothingBehind(t *testing.T) {
	p := mkProbe(t)
	p.Out = t.TempDir()
	p.Run(t.Context())
	left, err := os.ReadDir(p.Out)
	if err != nil || len(left) != 0 {
		t.Errorf("%v %v", left, err)
	}
}
