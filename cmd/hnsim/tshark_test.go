package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestTsharkReadsTheCaptureOfAFailure opens with Wireshark's own reader what a
// user would open. HNSIM_REQUIRE_TOOLS=1 turns the skip into a failure.
func TestTsharkReadsTheCaptureOfAFailure(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("HNSIM_REQUIRE_TOOLS") == "1" {
			t.Fatal("tshark is not installed, and HNSIM_REQUIRE_TOOLS=1")
		}
		t.Skip("tshark is not installed")
	}
	file := mine(t, "drops.txtar")
	t.Chdir(t.TempDir())
	hnsim(t, nil, "run", file, "--out", "o").check(t, 1, "TRY-06", "")
	fields := func(filter string) string {
		t.Helper()
		out, err := exec.Command(tshark, "-r", "o/TRY-06/packets.pcapng", "-Y", filter, "-T", "fields",
			"-e", "frame.interface_name", "-e", "udp.dstport", "-e", "frame.comment").Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if got := fields("udp.dstport == 53"); !strings.Contains(got, "nic c1\t53") || !strings.Contains(got, "wire h1\t53") || !strings.Contains(got, "nic x\t53") {
		t.Errorf("the points of the pipeline are not all there:\n%s", got)
	}
	if got := fields(`frame.comment contains "drop"`); !strings.HasPrefix(got, "drop h1\t1\tdrop ") {
		t.Errorf("the drop is not there:\n%s", got)
	}
}
