package wine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The tests of this file run Windows programs. They use the prefix in the
// user's cache, which is hundreds of megabytes, but their runs are in a cache
// of their own: other tests run programs at the same time.

// asProgram is set in the environment of a test binary that is to run the probe
// instead of tests, so that a test can kill it.
const asProgram = "HNSIM_WINE_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if program := os.Getenv(asProgram); program != "" {
		r := Run{OSBuild: 26100}
		err := r.Prepare(context.Background())
		if err == nil {
			_, err = r.Exec(context.Background(), []string{program, "wait"}, nil, os.Stdout, os.Stderr)
		}
		fmt.Println(err)
		os.Exit(1)
	}
	code := m.Run()
	if probeDir != "" {
		os.RemoveAll(probeDir)
	}
	os.Exit(code)
}

var probeDir string

// build builds the programs of testdata once.
var build = sync.OnceValues(func() (dir string, err error) {
	if probeDir, err = os.MkdirTemp("", "hnsim wine test"); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", filepath.Join(probeDir, "probe.exe"), "./testdata/probe")
	cmd.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	cc, err := FindCompiler()
	if err != nil {
		return "", err
	}
	if out, err := exec.Command(cc, "-o", filepath.Join(probeDir, "version.exe"), "testdata/version/version.c").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return probeDir, nil
})

// needWine skips without the tools, or fails if they must be there.
func needWine(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs wine")
	}
	_, err := FindCompiler()
	if err == nil {
		err = (&Run{}).Missing()
	}
	if err == nil {
		return
	}
	if os.Getenv("HNSIM_REQUIRE_TOOLS") == "1" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// mkRun prepares wine and returns the folder with the programs.
func mkRun(t *testing.T) (r *Run, dir string) {
	t.Helper()
	needWine(t)
	dir, err := build()
	if err != nil {
		t.Fatal(err)
	}
	cache, err := ownCache()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CACHE_HOME", cache)
	r = &Run{OSBuild: 26100, Log: t.Logf}
	if err := r.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r, dir
}

// ownCache makes a cache with links to the user's prefix and DLLs.
var ownCache = sync.OnceValues(func() (string, error) {
	r := Run{}
	if err := r.Prepare(context.Background()); err != nil {
		return "", err
	}
	mine := filepath.Join(probeDir, "cache", "hnsim")
	if err := os.MkdirAll(mine, 0o755); err != nil {
		return "", err
	}
	for _, dir := range []string{r.prefix, r.shimsDir} {
		if err := os.Symlink(dir, filepath.Join(mine, filepath.Base(dir))); err != nil {
			return "", err
		}
	}
	return filepath.Dir(mine), nil
})

// run runs the probe with arguments and returns its output.
func run(t *testing.T, r *Run, stdin string, args ...string) (code int, out, errOut string) {
	t.Helper()
	dir, err := build()
	if err != nil {
		t.Fatal(err)
	}
	var o, e bytes.Buffer
	code, err = r.Exec(t.Context(), append([]string{filepath.Join(dir, "probe.exe")}, args...), strings.NewReader(stdin), &o, &e)
	if err != nil {
		t.Fatal(err)
	}
	return code, strings.ReplaceAll(o.String(), "\r\n", "\n"), withoutWines(strings.ReplaceAll(e.String(), "\r\n", "\n"))
}

// withoutWines takes out what wine itself says: the processes of its own
// services write into the stderr of the first program. On a busy machine the
// one for drivers (winedevice) crashes now and then while it starts.
func withoutWines(text string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "wine: ") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

func TestExitCodesHaveAllBits(t *testing.T) {
	r, _ := mkRun(t)
	for _, want := range []int{0, 1, 255, 256, 0x80070490, 0xC0000005} {
		if code, _, _ := run(t, r, "", "exit", fmt.Sprint(want)); code != want {
			t.Errorf("exit code %#x, want %#x", code, want)
		}
	}
}

func TestArgumentsArriveAsTheyAre(t *testing.T) {
	r, _ := mkRun(t)
	want := []string{"a b", `c"d\`, "", `x\`, `"quoted"`, `\\server\share`, "*.go", `C:\Program Files\`, "größe", "%PATH%", "'", "^&|<>"}
	_, out, _ := run(t, r, "", append([]string{"arguments"}, want...)...)
	var got []string
	if err := json.Unmarshal([]byte(out), &got); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v\n got %q\nwant %q", err, got, want)
	}
}

func TestStreamsReachTheProgramAndCome(t *testing.T) {
	r, _ := mkRun(t)
	code, out, errOut := run(t, r, "one\ntwo\n", "streams")
	if code != 0 || out != "line one\nline two\n" || errOut != "end <nil>\n" {
		t.Errorf("%d, %q, %q", code, out, errOut)
	}
}

func TestTheCurrentFolderIsTheCallers(t *testing.T) {
	r, _ := mkRun(t)
	r.Dir = t.TempDir()
	if _, out, _ := run(t, r, "", "folder"); out != `Z:`+strings.ReplaceAll(r.Dir, "/", `\`)+" <nil>\n" {
		t.Errorf("%q, want %s", out, r.Dir)
	}
}

func TestProgramsOfDriveCHaveNoPath(t *testing.T) {
	r, _ := mkRun(t)
	var out bytes.Buffer
	code, err := r.Exec(t.Context(), []string{"cmd", "/c", "ver"}, nil, &out, nil)
	if err != nil || code != 0 || !strings.Contains(out.String(), "10.0.26100") {
		t.Errorf("%d, %v, %q", code, err, out.String())
	}
	if _, err := r.Exec(t.Context(), []string{"no-such-program"}, nil, nil, nil); err == nil || !strings.Contains(err.Error(), "no such program") {
		t.Errorf("got %v", err)
	}
}

func TestEveryFunctionSaysTheBuild(t *testing.T) {
	r, dir := mkRun(t)
	for build := range releases {
		r.OSBuild = build
		var out bytes.Buffer
		_, err := r.Exec(t.Context(), []string{filepath.Join(dir, "version.exe")}, nil, &out, nil)
		want := fmt.Sprintf("10.0.%d type 3, 10.0.%[1]d", build)
		if err != nil || strings.TrimSpace(out.String()) != want {
			t.Errorf("%v, %q, want %q", err, out.String(), want)
		}
	}
}

func TestCtrlCReachesTheProgramWhichChoosesItsExitCode(t *testing.T) {
	r, dir := mkRun(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &notice{word: "waiting", seen: cancel}
	code, err := r.Exec(ctx, []string{filepath.Join(dir, "probe.exe"), "signal"}, nil, out, nil)
	if err != nil || code != 7 || !strings.Contains(out.text.String(), "got interrupt") {
		t.Errorf("%d, %v, %q", code, err, out.text.String())
	}
}

func TestAProgramThatDoesNotHandleCtrlCEnds(t *testing.T) {
	r, dir := mkRun(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &notice{word: "waiting", seen: cancel}
	start := time.Now()
	code, err := r.Exec(ctx, []string{filepath.Join(dir, "probe.exe"), "wait"}, nil, out, nil)
	// Wine ends such programs with 0, Windows with Interrupted.
	if err != nil || code != Interrupted && code != 0 || time.Since(start) > stopDelay {
		t.Errorf("%#x, %v after %s", code, err, time.Since(start))
	}
}

// notice calls seen when word has been written.
type notice struct {
	word string
	seen func()
	text bytes.Buffer
}

func (n *notice) Write(p []byte) (int, error) {
	n.text.Write(p)
	if strings.Contains(n.text.String(), n.word) {
		n.seen()
	}
	return len(p), nil
}

func TestWhatTheProgramLeavesRunningEndsWithIt(t *testing.T) {
	r, _ := mkRun(t)
	start := time.Now()
	// The child holds the pipe: it ends, or this would wait for a minute.
	code, _, _ := run(t, r, "", "leave")
	if code != 0 || time.Since(start) > 20*time.Second {
		t.Errorf("%d after %s", code, time.Since(start))
	}
	nothingLeft(t)
}

// nothingLeft checks that no process and no folder of a run of this process
// remains.
func nothingLeft(t *testing.T) {
	t.Helper()
	cache, err := CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	runs := filepath.Join(cache, "runs")
	var left []string
	for range 50 {
		left = nil
		entries, err := os.ReadDir(runs)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			left = append(left, e.Name())
		}
		left = append(left, processesOf(runs)...)
		if len(left) == 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("left behind: %q", left)
}

// processesOf lists processes whose prefix is below runs.
func processesOf(runs string) (found []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, f := range files {
		raw, _ := os.ReadFile(f)
		if bytes.Contains(raw, []byte("WINEPREFIX="+runs)) {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(f), "cmdline"))
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

func TestNothingIsLeftAfterKill9(t *testing.T) {
	_, dir := mkRun(t)
	// The second time it is killed before wine is up.
	for _, early := range []bool{false, true} {
		self := exec.Command(os.Args[0])
		self.Env = append(os.Environ(), asProgram+"="+filepath.Join(dir, "probe.exe"))
		out, err := self.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := self.Start(); err != nil {
			t.Fatal(err)
		}
		if early {
			time.Sleep(150 * time.Millisecond)
		} else {
			line := make([]byte, 7)
			if _, err := io.ReadFull(out, line); err != nil || string(line) != "waiting" {
				t.Fatalf("%q, %v", line, err)
			}
		}
		if err := self.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = self.Wait()
		nothingLeft(t)
	}
}

func TestAPrefixIsPreparedOnceAlsoAfterAnInterruption(t *testing.T) {
	needWine(t)
	real, err := CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	shims, built, err := ShimsDir(real)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	mine, err := CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	if built { // they take long, and are not what this is about
		if err := os.CopyFS(filepath.Join(mine, filepath.Base(shims)), os.DirFS(shims)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	first := Run{OSBuild: 26100, Log: func(string, ...any) { time.AfterFunc(time.Second, cancel) }}
	if err := first.Prepare(ctx); err == nil {
		t.Fatal("prepared although interrupted")
	}
	var said [2]int
	var wg sync.WaitGroup
	for i := range said {
		wg.Go(func() {
			r := Run{OSBuild: 26100, Log: func(format string, _ ...any) {
				if strings.Contains(format, "preparing wine") {
					said[i]++
				}
			}}
			if err := r.Prepare(t.Context()); err != nil {
				t.Error(err)
			}
			var out bytes.Buffer
			if code, err := r.Exec(t.Context(), []string{"cmd", "/c", "echo hello"}, nil, &out, nil); err != nil || code != 0 || strings.TrimSpace(out.String()) != "hello" {
				t.Errorf("%d, %v, %q", code, err, out.String())
			}
		})
	}
	wg.Wait()
	if said[0]+said[1] != 1 {
		t.Errorf("prepared %d times", said)
	}
	nothingLeft(t)
}
