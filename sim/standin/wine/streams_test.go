package wine

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// TestOneWriterForBothStreams writes much to both at once: with a pipe and a
// goroutine each, one would overwrite what the other has written.
func TestOneWriterForBothStreams(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	const script = `
n=0; while [ $n -lt 2000 ]; do echo out; n=$((n+1)); done &
n=0; while [ $n -lt 2000 ]; do echo err; n=$((n+1)); done >&2
wait`
	var both bytes.Buffer
	cmd := exec.Command(sh, "-c", script)
	std, err := connect(cmd, nil, &both, &both)
	if err == nil {
		err = cmd.Start()
	}
	std.started()
	if err == nil {
		err = cmd.Wait()
	}
	std.wait()
	if text := both.String(); err != nil || strings.Count(text, "out\n") != 2000 || strings.Count(text, "err\n") != 2000 {
		t.Errorf("%v, %d bytes, want 2000 lines of each", err, len(text))
	}
}
