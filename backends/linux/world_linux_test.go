package linux

import (
	"os"
	"testing"

	"github.com/hnsim/hnsim/backends/backendtest"
)

// needsKernel skips where the machine lacks what worlds are made of.
func needsKernel(t *testing.T) {
	t.Helper()
	if why := Check(); why != "" {
		if os.Getenv("HNSIM_REQUIRE_TOOLS") == "1" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
}

func TestContract(t *testing.T) {
	needsKernel(t)
	backendtest.Run(t, Backend{})
}
