package vfp

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// tracedLab has something of everything to print.
func tracedLab(t *testing.T) *lab {
	l := newLab(true, PortLimits{})
	natLab(t, l, 0)
	l.program(portB, aclLayer(Reevaluate,
		in(Rule{ID: "web", Priority: 10, Match: Match{DstPorts: []PortRange{ports(80, 80), ports(8000, 8080)}}, Action: Allow{}, Stateful: true, Terminating: true, Cite: "ACL-05"},
			Rule{ID: "odd", Priority: 20, Match: Match{Func: func(*Walk) bool { return false }, Note: "full moon"}, Action: Allow{}},
			Rule{ID: "rest", Priority: 65500, Match: Match{Src: at(ipA)}, Action: Block{}, Terminating: true})))
	l.trace = &Trace{}
	return l
}

func TestATraceTellsWhatHappened(t *testing.T) {
	l := tracedLab(t)
	l.now = seconds(2) + 5_000_000
	l.send(portA, tcp(ipA, ipX, 49700, 443, syn).Bytes())
	l.send(portA, tcp(ipA, ipB, 49700, 81, syn).Bytes())
	l.send(portA, tcp(ipA, ipB, 49700, 80, syn).Bytes())
	l.send(portB, tcp(ipB, ipA, 80, 49700, syn|ack).Bytes())
	golden(t, "trace.txt", strings.Join(l.trace.Lines(), "\n")+"\n")
}

func TestDumpLooksLikeVfpctrl(t *testing.T) {
	l := tracedLab(t)
	l.trace = nil
	l.send(portA, tcp(ipA, ipB, 49700, 81, syn).Bytes())
	for range 3 {
		l.now += seconds(1)
		l.send(portA, tcp(ipA, ipB, 49700, 80, syn).Bytes())
	}
	l.send(portA, tcp(ipA, ipX, 49701, 443, ack).Bytes())
	l.send(portA, tcp(ipA, ipX, 49700, 443, ack).Bytes())
	var b strings.Builder
	for _, id := range []PortID{portA, portB} {
		if err := l.port(id).Dump(&b, l.now); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "dump.txt", b.String())
}

// golden compares with a reviewed file. To rewrite it, set VFP_GOLDEN=rewrite,
// look at the difference and make sure that you understand it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name
	if os.Getenv("VFP_GOLDEN") == "rewrite" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got\n%s", path, got)
	}
}

func TestTracingChangesNothing(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 5))
		data := make([]byte, 2000)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		d := &dice{data}
		w := newWorld(d)
		w.labs[0].trace = &Trace{Max: 100} // overflows soon
		w.labs[1].cached = false
		w.play(t, d)
		if seed == 0 && w.labs[0].trace.Lost == 0 {
			t.Error("the trace never overflowed")
		}
	}
}

func TestATraceIsBounded(t *testing.T) {
	tr := &Trace{Max: 2}
	for range 5 {
		tr.Add(Record{Note: "x"})
	}
	if lines := tr.Lines(); len(lines) != 3 || !strings.Contains(lines[2], "3 more") {
		t.Errorf("lines: %q", lines)
	}
	var none *Trace
	none.Add(Record{})
	if none.Lines() != nil {
		t.Error("a nil trace has lines")
	}
}

func TestEveryDropHasAName(t *testing.T) {
	seen := map[string]bool{}
	for i, d := range Drops() {
		if int(d.Drop) != i+1 || d.Drop.String() != d.Name || d.Doc == "" || seen[d.Name] {
			t.Errorf("entry %d: %+v", i, d)
		}
		seen[d.Name] = true
	}
	if len(Drops()) != int(NumDrops)-1 || Drop(255).String() != "Unknown" {
		t.Error("the list is incomplete")
	}
}
