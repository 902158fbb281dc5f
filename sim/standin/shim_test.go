package standin

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestTheShimsBuildWithoutWarnings needs mingw.
func TestTheShimsBuildWithoutWarnings(t *testing.T) {
	if _, err := exec.LookPath("x86_64-w64-mingw32-gcc"); err != nil {
		if os.Getenv("HNSIM_REQUIRE_TOOLS") == "1" {
			t.Fatal(err)
		}
		t.Skip("no x86_64-w64-mingw32-gcc: install gcc-mingw-w64-x86-64")
	}
	dir := t.TempDir()
	if out, err := exec.Command("shim/build.sh", dir).CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, n := range []string{"computenetwork.dll", "vmcompute.dll", "bcryptprimitives.dll", "hnsim-start.exe"} {
		if info, err := os.Stat(filepath.Join(dir, n)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", n, err)
		}
	}
}
