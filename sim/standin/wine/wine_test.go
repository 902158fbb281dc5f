package wine

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMissingDLLsAreNamedWithTheirRemedy(t *testing.T) {
	if _, err := Find(); err != nil {
		if os.Getenv("HNSIM_REQUIRE_TOOLS") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	r := Run{DLLs: t.TempDir(), Prefix: t.TempDir()}
	if err := r.Prepare(t.Context()); err == nil || !strings.Contains(err.Error(), "make standin") {
		t.Errorf("got %v", err)
	}
}

func TestDLLsAreInstalledAndReplaced(t *testing.T) {
	r := Run{DLLs: t.TempDir(), Prefix: t.TempDir()}
	system32 := filepath.Join(r.Prefix, "drive_c", "windows", "system32")
	if err := os.MkdirAll(system32, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one", "two"} {
		for _, n := range names {
			if err := os.WriteFile(filepath.Join(r.DLLs, n), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.install(); err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			if have, err := os.ReadFile(filepath.Join(system32, n)); err != nil || !bytes.Equal(have, []byte(text)) {
				t.Errorf("%s: %q, %v", n, have, err)
			}
		}
	}
	if left, _ := os.ReadDir(system32); len(left) != len(names) {
		t.Errorf("%d files in system32, want %d", len(left), len(names))
	}
}
