package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/simulated"
	"github.com/hnsim/hnsim/conformance/bench"
)

var (
	countThem = flag.Bool("instructions", false, "count instructions per packet under valgrind, as make instructions does")
	update    = flag.Bool("update", false, "record what -instructions counts")
)

// asDriver in the environment makes the test program take packets through a
// path and end: PATH, flows, packets.
const asDriver = "HNSIM_BENCH_DRIVE"

func drive(order string) int {
	var path string
	var flows, packets int
	_, err := fmt.Sscan(order, &path, &flows, &packets)
	var d *bench.Drive
	if err == nil {
		d, err = bench.OpenDrive(context.Background(), simulated.Backend{}, backends.WorldConfig{Seed: 1, Profile: "ws2022"}, path, 64, flows)
	}
	if err == nil {
		_, err = d.Run(packets)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	return 0
}

// recordFile holds what was counted, by path.
const recordFile = "testdata/instructions.json"

// record is the form of the file. What a compiler of another version makes of
// the same text cannot be compared.
type record struct {
	Go    string         `json:"go"`
	Arch  string         `json:"arch"`
	Paths map[string]int `json:"instructionsPerPacket"`
}

// counted are the paths of the gate: known flows, and first packets, which have
// more flows than packets so that time does not pass meanwhile.
var counted = []struct {
	path           string
	flows, packets int
}{
	{"l2", 1000, 16384}, {"nat", 1000, 16384}, {"outboundnat", 1000, 16384}, {"encap", 1000, 16384}, {"decap", 1000, 16384}, {"encap+decap", 1000, 16384},
	{"lb-dsr", 1000, 16384}, {"service", 1000, 16384}, {"nat-new", 8192, 4096}, {"outboundnat-new", 8192, 4096}, {"acl-1000", 8192, 4096},
}

// tolerance of the gate, as a share.
const tolerance = 0.05

// Instructions are exact where nanoseconds are not: a path that got 5 % longer
// is red on the noisiest machine. What is counted is the difference of two runs
// that differ in packets only, so that building the world cancels out.
func TestInstructionsPerPacket(t *testing.T) {
	if !*countThem {
		t.Skip("takes minutes: make instructions")
	}
	require := os.Getenv("HNSIM_REQUIRE_TOOLS") == "1"
	if _, err := exec.LookPath("valgrind"); err != nil {
		if require {
			t.Fatal("valgrind is not installed, and HNSIM_REQUIRE_TOOLS=1")
		}
		t.Skip("valgrind is not installed")
	}
	got := record{Go: runtime.Version(), Arch: runtime.GOARCH, Paths: map[string]int{}}
	for _, c := range counted {
		// What the runtime does by the clock comes on top now and then: the
		// smaller of two counts is the packets'.
		n, err := instructionsPerPacket(c.path, c.flows, c.packets)
		if err == nil {
			var again int
			again, err = instructionsPerPacket(c.path, c.flows, c.packets)
			n = min(n, again)
		}
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		got.Paths[c.path] = n
	}
	if *update && !t.Failed() {
		text, err := json.MarshalIndent(got, "", "  ")
		if err == nil {
			err = os.WriteFile(recordFile, append(text, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(recordFile)
	if err != nil {
		t.Fatal(err)
	}
	var want record
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatalf("%s: %v", recordFile, err)
	}
	if want.Go != got.Go || want.Arch != got.Arch {
		why := fmt.Sprintf("recorded with %s for %s, counted with %s for %s: not comparable; -update records anew", want.Go, want.Arch, got.Go, got.Arch)
		if require {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	lines, complaints := compareInstructions(want.Paths, got.Paths)
	t.Logf("instructions per packet\n%s", strings.Join(lines, "\n"))
	for _, c := range complaints {
		t.Error(c)
	}
}

// compareInstructions describes every path, and complains about those that
// changed by more than the tolerance.
func compareInstructions(want, got map[string]int) (lines, complaints []string) {
	var names []string
	for name := range want {
		names = append(names, name)
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		w, recorded := want[name]
		g, measured := got[name]
		switch change := float64(g-w) / float64(max(w, 1)); {
		case !recorded:
			complaints = append(complaints, fmt.Sprintf("%s: %d, and not recorded: record it (-update)", name, g))
		case !measured:
			complaints = append(complaints, fmt.Sprintf("%s: recorded and not counted", name))
		case change > tolerance:
			complaints = append(complaints, fmt.Sprintf("%s: %d instructions per packet, recorded %d: %+.1f%%", name, g, w, 100*change))
		case change < -tolerance:
			complaints = append(complaints, fmt.Sprintf("%s: %d instructions per packet, recorded %d: %+.1f%%; well done, record it anew (-update)", name, g, w, 100*change))
		default:
			lines = append(lines, fmt.Sprintf("%-16s %6d  recorded %6d  %+.1f%%", name, g, w, 100*change))
		}
	}
	return lines, complaints
}

// instructionsPerPacket counts two runs and divides what they differ in.
func instructionsPerPacket(path string, flows, packets int) (int, error) {
	once, err := instructions(path, flows, packets)
	if err != nil {
		return 0, err
	}
	twice, err := instructions(path, flows, 2*packets)
	if err != nil {
		return 0, err
	}
	if twice <= once {
		return 0, fmt.Errorf("%d instructions with twice the packets, %d before", twice, once)
	}
	return (twice - once + packets/2) / packets, nil
}

var refs = regexp.MustCompile(`I\s+refs:\s+([\d,]+)`)

// instructions of a whole run. One thread runs Go code and nothing is
// collected, so that two runs do the same.
func instructions(path string, flows, packets int) (int, error) {
	// The cache is not simulated: it would take three times as long. Valgrind
	// does not know RDTSCP, with which the runtime times its locks.
	cmd := exec.Command("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d", asDriver, path, flows, packets), "GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1,cpu.rdtscp=off")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%w: %s", err, out.Bytes())
	}
	m := refs.FindSubmatch(out.Bytes())
	if m == nil {
		return 0, errors.New("valgrind says nothing about instructions: " + out.String())
	}
	return strconv.Atoi(strings.ReplaceAll(string(m[1]), ",", ""))
}

func TestTheGateOfInstructionsCanFail(t *testing.T) {
	want := map[string]int{"same": 1000, "slower": 1000, "faster": 1000, "gone": 1000}
	lines, complaints := compareInstructions(want, map[string]int{"same": 1049, "slower": 1051, "faster": 949, "new": 10})
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "same ") || len(complaints) != 4 {
		t.Fatalf("%q\n%q", lines, complaints)
	}
	for i, want := range []string{"faster: 949 instructions per packet, recorded 1000: -5.1%; well done", "gone: recorded and not counted", "new: 10, and not recorded", "slower: 1051 instructions per packet, recorded 1000: +5.1%"} {
		if !strings.HasPrefix(complaints[i], want) {
			t.Errorf("%q, want %q", complaints[i], want)
		}
	}
}
