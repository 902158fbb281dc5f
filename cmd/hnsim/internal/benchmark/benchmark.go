package benchmark

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hnsim/hnsim/conformance/bench"
	"github.com/hnsim/hnsim/reports"
)

// Words are the words of a list; the word all stands for every one of all.
func Words(list []string, all ...string) []string {
	if len(list) == 1 && list[0] == "all" {
		return all
	}
	return list
}

// Number reads a number that is not negative, with k, M or G behind it.
func Number(flag, text string) (int, error) {
	digits, scale := text, 1.0
	for unit, factor := range map[string]float64{"k": 1e3, "M": 1e6, "G": 1e9} {
		if d, ok := strings.CutSuffix(text, unit); ok {
			digits, scale = d, factor
		}
	}
	v, err := strconv.ParseFloat(digits, 64)
	v *= scale
	if err != nil || v < 0 || v > 1e12 || v != math.Trunc(v) {
		return 0, fmt.Errorf("%s: %q: expected a whole number, such as 64, 100k or 1M", flag, text)
	}
	return int(v), nil
}

// Numbers is Number for a list.
func Numbers(flag string, list []string, all ...string) ([]int, error) {
	var out []int
	for _, text := range Words(list, all...) {
		n, err := Number(flag, text)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

// Switches reads on and off.
func Switches(flag string, list []string) ([]bool, error) {
	var out []bool
	for _, text := range Words(list, "off", "on") {
		if text != "on" && text != "off" {
			return nil, fmt.Errorf("%s: %q: expected on, off or all", flag, text)
		}
		out = append(out, text == "on")
	}
	return out, nil
}

// Baseline opens a file to compare with and puts it into the configuration: the
// JSON of an earlier run, or a program that is run in turn with this one, which
// is asked here for its paths.
func Baseline(ctx context.Context, cfg *bench.Config, name string) error {
	if err := baseline(ctx, cfg, name); err != nil {
		return fmt.Errorf("--baseline: %w", err)
	}
	return nil
}

func baseline(ctx context.Context, cfg *bench.Config, name string) error {
	head, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	begins := bytes.TrimLeft(head, " \t\r\n")
	program := info.Mode()&0o111 != 0 || strings.EqualFold(filepath.Ext(name), ".exe")
	if program && !bytes.HasPrefix(begins, []byte("{")) {
		path, err := filepath.Abs(name)
		if err != nil {
			return err
		}
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("this program's own file: %w", err)
		}
		cfg.Rival = &bench.Rival{Program: path, Self: self, Profile: cfg.World.Profile, Length: cfg.Sample}
		return cfg.Rival.Check(ctx)
	}
	b, err := reports.ReadBench(bytes.NewReader(head), name)
	if err != nil {
		return fmt.Errorf("%w; a baseline is that, or another build of this program", err)
	}
	if b.Kind != "cost" || len(b.Cells) == 0 {
		return fmt.Errorf("%s has no measurements of cost", name)
	}
	cfg.Baseline = bench.Stored{Bench: b}
	return nil
}
