package health

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/conformance"
	"github.com/hnsim/hnsim/scenarios/contract"
	"github.com/hnsim/hnsim/sim/hcn"
)

// Level is how a check came out.
type Level string

const (
	OK   Level = "ok"
	Warn Level = "warn" // something optional is missing
	Fail Level = "FAIL" // hnsim cannot do its work
)

// Check is the result of one check.
type Check struct {
	Name  string `json:"name"`
	Level Level  `json:"level"`
	Text  string `json:"text"`
	Fix   string `json:"fix,omitempty"` // what to do; always there unless ok
}

// Probe is what the checks look at. Fields that are nil are not checked.
type Probe struct {
	Backend  backends.Backend
	Profile  string
	Out      string // output directory of run
	LookPath func(string) (string, error)
	Now      func() time.Time
	GOOS     string
	Version  string
	// Tools are what hnsim exec needs; nil looks at this machine.
	Tools *Tools
}

// Run carries out all checks, in a fixed order.
func (p *Probe) Run(ctx context.Context) []Check {
	if p.LookPath == nil {
		p.LookPath = exec.LookPath
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.GOOS == "" {
		p.GOOS = runtime.GOOS
	}
	if p.Tools == nil {
		p.Tools = lookForTools(ctx)
	}
	return []Check{p.program(), p.suite(), p.contract(), p.backend(ctx), p.output(), p.clock(), p.tshark(), p.wine(), p.prefix(), p.dlls(), p.namespace()}
}

func (p *Probe) program() Check {
	return Check{"program", OK, fmt.Sprintf("hnsim %s, %s, %s/%s, %d CPUs", p.Version, runtime.Version(), p.GOOS, runtime.GOARCH, runtime.NumCPU()), ""}
}

func (p *Probe) suite() Check {
	specs, err := conformance.Suite()
	switch {
	case err != nil:
		return Check{"suite", Fail, err.Error(), "this program is damaged: install it again"}
	case len(specs) == 0:
		return Check{"suite", Fail, "no scenario is embedded", "this program is damaged: install it again"}
	}
	return Check{"suite", OK, fmt.Sprintf("%d scenarios embedded", len(specs)), ""}
}

func (p *Probe) contract() Check {
	rules := contract.Rules()
	if len(rules) == 0 {
		return Check{"contract", Fail, "no rule is embedded", "this program is damaged: install it again"}
	}
	return Check{"contract", OK, fmt.Sprintf("%d rules, %d proposed scenarios", len(rules), len(contract.Scenarios())), ""}
}

// backend opens a world and closes it again.
func (p *Probe) backend(ctx context.Context) Check {
	name := "backend " + p.Backend.Name()
	features, err := p.Backend.Features(p.Profile)
	if err != nil {
		if _, known := hcn.ProfileByName(p.Profile); known == nil {
			return Check{name, Fail, err.Error(), "choose another --backend, or run this on a machine that has what it needs"}
		}
		return Check{name, Fail, err.Error(), "choose a profile with --profile; `hnsim explain profile ws2022` shows one"}
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	w, err := p.Backend.Open(ctx, backends.WorldConfig{Profile: p.Profile})
	if err != nil {
		return Check{name, Fail, "no world opens: " + err.Error(), "if this is the model, please report it with the output of `hnsim version`"}
	}
	left, err := w.Close(ctx)
	switch {
	case err != nil:
		return Check{name, Fail, "a world does not close: " + err.Error(), "please report it with the output of `hnsim version`"}
	case len(left) > 0:
		return Check{name, Warn, "an empty world leaves things behind: " + strings.Join(left, ", "), "please report it with the output of `hnsim version`"}
	}
	return Check{name, OK, fmt.Sprintf("profile %s, HNS %s, build %d; %s", p.Profile, features.HNSVersion, features.OSBuild, capabilities(p.Backend)), ""}
}

func capabilities(b backends.Backend) string {
	var names []string
	for _, c := range b.Capabilities() {
		names = append(names, string(c))
	}
	return "can do " + strings.Join(names, " ")
}

func (p *Probe) output() Check {
	fix := "choose another folder with --out, or make this one writable"
	dir := p.Out
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return Check{"output", Fail, dir + " is a file", fix}
	} else if err != nil {
		dir = "." // it will be made here
	}
	f, err := os.CreateTemp(dir, ".hnsim-doctor-*")
	if err != nil {
		return Check{"output", Fail, "reports cannot be written: " + err.Error(), fix}
	}
	f.Close()
	os.Remove(f.Name())
	return Check{"output", OK, "reports go to " + p.Out, ""}
}

// clock guards the dates of expectation files.
func (p *Probe) clock() Check {
	if now := p.Now(); now.Year() < 2025 {
		return Check{"clock", Warn, "the clock says " + now.UTC().Format(time.DateOnly), "set the clock: expectations expire by date"}
	}
	return Check{"clock", OK, "plausible", ""}
}

func (p *Probe) tshark() Check {
	if path, err := p.LookPath("tshark"); err == nil {
		return Check{"tshark", OK, path, ""}
	}
	fix := map[string]string{
		"linux":   "optional: apt-get install tshark (or wireshark-cli) to read captures on the command line",
		"darwin":  "optional: brew install wireshark to read captures",
		"windows": "optional: winget install WiresharkFoundation.Wireshark to read captures",
	}[p.GOOS]
	if fix == "" {
		fix = "optional: install Wireshark to read captures"
	}
	return Check{"tshark", Warn, "not installed", fix}
}

// Worst is the highest level among checks.
func Worst(checks []Check) Level {
	worst := OK
	for _, c := range checks {
		if c.Level == Fail || c.Level == Warn && worst == OK {
			worst = c.Level
		}
	}
	return worst
}

// WriteText writes checks for people.
func WriteText(w io.Writer, checks []Check) {
	for _, c := range checks {
		fmt.Fprintf(w, "%-4s  %-12s %s\n", c.Level, c.Name, c.Text)
		if c.Fix != "" {
			fmt.Fprintf(w, "      -> %s\n", c.Fix)
		}
	}
}
