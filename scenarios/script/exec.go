package script

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hnsim/hnsim/backends"
)

// Variables of scenarios that run programs.
const (
	workFolder     = "dir:work"
	programFolders = "dir:programs"
)

// programState is what a run keeps for the programs that it runs.
type programState struct {
	dir   string   // their current folder; empty if the scenario runs none
	env   []string // KEY=VALUE, of env lines
	calls string   // the last one's calls of HNS, a line each
}

func (s *programState) clean() {
	if s.dir != "" {
		_ = os.RemoveAll(s.dir) // a temporary folder: the system's own cleaning gets what is left
	}
}

// preparePrograms makes the folder that programs run in.
func (r *run) preparePrograms() error {
	runner, ok := r.world.(backends.ProgramRunner)
	if !ok || !r.sc.usesWord("exec") {
		return nil
	}
	dir, err := os.MkdirTemp("", "hnsim-work-")
	if err != nil {
		return err
	}
	r.prog.dir = dir
	var folders []string
	for _, f := range r.searchPath() {
		if f, err = filepath.Abs(f); err != nil {
			return err
		}
		folders = append(folders, runner.ProgramPath(f))
	}
	r.scope.vars[workFolder] = runner.ProgramPath(dir)
	r.scope.vars[programFolders] = strings.Join(folders, ";")
	return nil
}

// searchPath are the folders in which programs are looked for.
func (r *run) searchPath() []string {
	return append([]string{filepath.Dir(r.sc.File)}, r.opt.Programs...)
}

// findProgram finds the executable of a name. A name with a slash is a path
// from the scenario's folder.
func (r *run) findProgram(program string) (string, error) {
	folders := r.searchPath()
	if filepath.IsAbs(program) {
		folders = []string{""}
	} else if strings.Contains(program, "/") {
		folders = folders[:1]
	}
	for _, folder := range folders {
		for _, suffix := range []string{"", ".exe"} {
			file := filepath.Join(folder, program+suffix)
			if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
				return filepath.Abs(file)
			}
		}
	}
	return "", &scenarioError{fmt.Errorf("no program %s in %s: build it, or name its folder with --programs", quoteShort(program), strings.Join(folders, ", "))}
}

// execution is one exec line.
type execution struct {
	host, program string
	args, env     []string
	stdin         []byte
	files         map[string][]byte // to put into the folder, by name
	timeout, tick time.Duration
}

func (x *execution) setEnv(v string) error {
	if key, _, ok := strings.Cut(v, "="); !ok || key == "" {
		return fmt.Errorf("found %s, expected KEY=VALUE", quoteShort(v))
	}
	x.env = append(x.env, v)
	return nil
}

// programFiles takes the value of files=.
func (p *parser) programFiles(x *execution, list string) error {
	x.files = map[string][]byte{}
	for _, who := range strings.Split(list, ",") {
		if !filepath.IsLocal(who) {
			return fmt.Errorf("%s would leave the folder of the program", quoteShort(who))
		}
		x.files[who] = p.expandFile(p.namedFile(who))
	}
	return nil
}

// run runs the program.
func (x *execution) run(r *run) error {
	runner, ok := r.world.(backends.ProgramRunner)
	if !ok {
		return fmt.Errorf("backend %s has capability programs and cannot run one", r.env.backend)
	}
	path, err := r.findProgram(x.program)
	if err != nil {
		return err
	}
	for _, name := range wordNames(x.files) {
		file := filepath.Join(r.prog.dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, x.files[name], 0o644); err != nil {
			return err
		}
	}
	res, err := runner.RunProgram(r.ctx, backends.Program{
		Host: x.host, Path: path, Args: x.args, Env: append(append([]string(nil), r.prog.env...), x.env...),
		Dir: r.prog.dir, Stdin: x.stdin, Timeout: x.timeout, Tick: x.tick,
	})
	if err != nil {
		return r.harness(err)
	}
	stderr := unixLines(res.Stderr)
	r.out.WriteString(unixLines(res.Stdout))
	r.errOut = &stderr
	r.prog.calls = callLines(&res)
	said := oneLine(stderr + " " + r.out.String())
	switch {
	case res.TimedOut:
		return r.failure(fmt.Sprintf("%s to end within %v", x.program, x.timeout), "it still ran; it said: "+said)
	case res.ExitCode != 0:
		return r.refuse(&outcomeError{fmt.Sprintf("%s ended with exit code %d: %s", x.program, res.ExitCode, said)})
	}
	return nil
}

// unixLines ends lines as golden text does.
func unixLines(b []byte) string { return strings.ReplaceAll(string(b), "\r\n", "\n") }

// maxSaid bounds what a message shows of a program's output.
const maxSaid = 400

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	switch {
	case s == "":
		return "nothing"
	case len(s) > maxSaid:
		return strings.ToValidUTF8(s[:maxSaid], "") + "..."
	}
	return s
}

// callLines shows a program's calls of HNS, one a line.
func callLines(res *backends.ProgramResult) string {
	var b strings.Builder
	for _, c := range res.Calls {
		b.WriteString(c.Function)
		if c.Function == "HNSCall" && len(c.Args) > 1 {
			// Builds write ids in paths in their own case.
			b.WriteString(" " + c.Args[0] + " " + strings.ToLower(c.Args[1]))
		}
		if c.HResult != 0 {
			fmt.Fprintf(&b, " 0x%08X", c.HResult)
		}
		b.WriteString("\n")
	}
	if res.LeakedHandles > 0 {
		fmt.Fprintf(&b, "leaked %d handles\n", res.LeakedHandles)
	}
	return b.String()
}
