//go:build unix

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hnsim/hnsim/cmd/hnsim/internal/tally"
)

// startWaiting starts a program that waits, with the hnsim at binary, and
// returns when it does.
func startWaiting(t *testing.T, binary string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	var errOut bytes.Buffer
	cmd := exec.Command(binary, append([]string{"exec", "--report", "report.json"}, args...)...)
	cmd.Stderr = &errOut
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "waiting") {
			return cmd, &errOut
		}
	}
	_ = cmd.Wait()
	t.Fatalf("it ended: %s", &errOut)
	return nil, nil
}

func readReport(t *testing.T) (rep tally.Report) {
	t.Helper()
	raw, err := os.ReadFile("report.json")
	if err == nil {
		err = json.Unmarshal(raw, &rep)
	}
	if err != nil {
		t.Errorf("%v, %s", err, raw)
	}
	return rep
}

func buildSelf(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "hnsim")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	return binary
}

func TestInterruptedProgramsAreNoSuccess(t *testing.T) {
	driver := filepath.Join(needPrograms(t), "driver.exe")
	binary := buildSelf(t)
	t.Chdir(t.TempDir())
	for _, tt := range []struct {
		mode    string
		signals []os.Signal
	}{
		{"sleep", []os.Signal{syscall.SIGINT}},
		{"sleep", []os.Signal{syscall.SIGTERM}},
		{"deaf", []os.Signal{syscall.SIGINT, syscall.SIGINT, syscall.SIGTERM}},
	} {
		cmd, errOut := startWaiting(t, binary, "--", driver, tt.mode)
		start := time.Now()
		for _, s := range tt.signals {
			_ = cmd.Process.Signal(s)
			time.Sleep(20 * time.Millisecond)
		}
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 130 || time.Since(start) > 8*time.Second {
			t.Errorf("%v: exit %d after %s", tt, code, time.Since(start))
		}
		if !strings.Contains(errOut.String(), ", interrupted\n") || !strings.Contains(errOut.String(), "objects: 1 added") {
			t.Errorf("%v:\n%s", tt, errOut)
		}
		if rep := readReport(t); !rep.Interrupted || len(rep.Changes) != 1 {
			t.Errorf("%v: %+v", tt, rep)
		}
	}
}

func TestAServerThatEndsTakesNoAccountWithIt(t *testing.T) {
	driver := filepath.Join(needPrograms(t), "driver.exe")
	binary := buildSelf(t)
	t.Chdir(t.TempDir())
	s := startServe(t)
	cmd, errOut := startWaiting(t, binary, "--server", "hnsim-standin.txt", "--", driver, "sleep")
	s.stop()
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit %d", code)
	}
	for _, want := range []string{"calls of HNS: 2, 1 refused", "objects: changes not known\n", "hnsim: the server does not answer"} {
		if !strings.Contains(errOut.String(), want) {
			t.Errorf("no %q in\n%s", want, errOut)
		}
	}
	if rep := readReport(t); rep.Unknown == "" || len(rep.Functions) != 2 {
		t.Errorf("%+v", rep)
	}
}

func TestAnAccountThatCannotBeWrittenIsStillSaid(t *testing.T) {
	driver := filepath.Join(needPrograms(t), "driver.exe")
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	r := hnsim(t, nil, "exec", "--report", "/dev/full", "--", driver)
	r.check(t, 3, "created 00000000", "objects: 1 added")
	if !strings.Contains(r.errOut, "--report: write /dev/full") {
		t.Error(r.errOut)
	}
	hnsim(t, nil, "exec", "--report", "/dev/full", "--", driver, "crash").check(t, 5, "created 00000000", "objects: 1 added")
	t.Chdir(t.TempDir())
	hnsim(t, nil, "exec", "--report", "new.json", "--", "./none.exe").check(t, 2, "", "none.exe")
	if _, err := os.Stat("new.json"); err == nil {
		t.Error("an empty report is left behind")
	}
}
