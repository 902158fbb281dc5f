package benchmark

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/conformance/bench"
)

func TestNumbersHaveUnits(t *testing.T) {
	for text, want := range map[string]int{"0": 0, "64": 64, "1k": 1000, "1.5k": 1500, "2M": 2_000_000, "1G": 1_000_000_000} {
		if got, err := Number("--flows", text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "k", "-1", "1.5", "1kk", "x", "1e30", "NaN", "Inf"} {
		if got, err := Number("--flows", bad); err == nil || !strings.Contains(err.Error(), "--flows: ") {
			t.Errorf("%q: %d, %v", bad, got, err)
		}
	}
}

func TestListsHaveAWordForEverything(t *testing.T) {
	if got, err := Numbers("--flows", []string{"all"}, "1", "1k"); err != nil || !slices.Equal(got, []int{1, 1000}) {
		t.Error(got, err)
	}
	if got, err := Switches("--trace", []string{"all"}); err != nil || !slices.Equal(got, []bool{false, true}) {
		t.Error(got, err)
	}
	if _, err := Switches("--trace", []string{"on", "maybe"}); err == nil {
		t.Error("maybe is accepted")
	}
}

func TestABaselineIsAFileOrAProgram(t *testing.T) {
	write := func(name, text string, mode os.FileMode) string {
		name = filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	var cfg bench.Config
	ctx := context.Background()
	const stored = ` {"schema":1,"kind":"cost","cells":[{"path":"l2","samples":[{"ns":1,"reference":1}]}]}`
	// What is JSON is no program, whatever its mode says.
	if err := Baseline(ctx, &cfg, write("base.json", stored, 0o755)); err != nil || cfg.Baseline == nil || cfg.Rival != nil {
		t.Error(cfg, err)
	}
	for _, bad := range []string{"", "text", `{"schema":1,"kind":"service"}`, `{"schema":1,"kind":"cost"}`} {
		if err := Baseline(ctx, &cfg, write("base.json", bad, 0o644)); err == nil || !strings.Contains(err.Error(), "--baseline") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := Baseline(ctx, &cfg, write("build.exe", "MZ", 0o755)); err == nil || !strings.Contains(err.Error(), "is no build of hnsim") {
		t.Error(err)
	}
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("the other build is a shell script, and there is no /bin/sh here")
	}
	cfg = bench.Config{}
	if err := Baseline(ctx, &cfg, write("build", "#!/bin/sh\necho '[{\"name\":\"l2\"}]'\n", 0o755)); err != nil || cfg.Rival == nil || cfg.Baseline != nil {
		t.Error(cfg, err)
	}
}
