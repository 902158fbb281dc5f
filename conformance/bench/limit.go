package bench

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

//go:embed c/limit.c
var limitSource []byte

// CLimit is the unavoidable work per packet, in C, on this machine. It is
// compiled when it is first asked and runs for every frame size once.
type CLimit struct {
	dir     string
	program string
	rows    map[int]map[limitKey]float64 // by stride of the packet ring
}

type limitKey struct {
	row   string
	flows int
}

// OpenLimit compiles it with the machine's C compiler. An error says why there
// is no limit here.
func OpenLimit(ctx context.Context) (*CLimit, error) {
	cc, err := exec.LookPath("gcc")
	if err != nil {
		return nil, fmt.Errorf("the C limit needs gcc: %w", err)
	}
	dir, err := os.MkdirTemp("", "hnsim-limit")
	if err != nil {
		return nil, err
	}
	l := &CLimit{dir: dir, program: filepath.Join(dir, "limit"), rows: map[int]map[limitKey]float64{}}
	source := filepath.Join(dir, "limit.c")
	if err := os.WriteFile(source, limitSource, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	// The program reads headers as words of every size.
	out, err := exec.CommandContext(ctx, cc, "-O3", "-march=native", "-fno-strict-aliasing", "-o", l.program, source).CombinedOutput()
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("the C limit (which needs AVX-512) was not compiled: %w: %s", err, firstError(out))
	}
	return l, nil
}

func firstError(out []byte) string {
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "error") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// Close removes the program.
func (l *CLimit) Close() {
	if l != nil {
		os.RemoveAll(l.dir)
	}
}

// Get is the figure of a row in nanoseconds, 0 if there is none: the program
// knows some numbers of flows only, and no mix of sizes.
func (l *CLimit) Get(ctx context.Context, row string, flows, size int) (float64, error) {
	const short, long = 256, 2048 // a frame's place in the ring
	stride := short
	if size > 200 {
		stride = long
	}
	if l.rows[stride] == nil {
		out, err := exec.CommandContext(ctx, l.program, strconv.Itoa(stride), "", strconv.Itoa(1<<20)).Output()
		if err != nil {
			return 0, fmt.Errorf("the C limit: %w: %s", err, bytes.TrimSpace(out))
		}
		if l.rows[stride], err = parseLimit(out); err != nil {
			return 0, err
		}
	}
	rows := l.rows[stride]
	if v, ok := rows[limitKey{row, flows}]; ok {
		return v, nil
	}
	// These do not depend on the number of flows that a path has.
	if row == "new" {
		return rows[limitKey{row, 1 << 20}], nil
	}
	if strings.HasPrefix(row, "acl-") {
		return rows[limitKey{row, 1_000_000}], nil
	}
	return 0, nil
}

// parseLimit reads lines of row, flows and nanoseconds.
func parseLimit(out []byte) (map[limitKey]float64, error) {
	rows := map[limitKey]float64{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		var row string
		var flows int
		var ns float64
		if n, err := fmt.Sscanf(lines.Text(), "%s %d %f", &row, &flows, &ns); n != 3 || err != nil || ns <= 0 {
			return nil, fmt.Errorf("the C limit says %q; expected row, flows and nanoseconds", lines.Text())
		}
		rows[limitKey{row, flows}] = ns
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("the C limit says nothing")
	}
	return rows, nil
}
