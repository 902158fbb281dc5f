package conformance

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/scenarios/contract"
	"github.com/hnsim/hnsim/scenarios/script"
)

func TestTracesAreGroupedByPacketWithTheirFate(t *testing.T) {
	seen := []backends.Observation{
		{Kind: backends.Sent, Role: "c1", ID: 4},
		{Kind: backends.Sent, Role: "c2", ID: 5},
		{Kind: backends.OnWire, Role: "h1", ID: 4},
		{Kind: backends.DroppedAt, Role: "h1", ID: 5, Reason: "NoRoute", Where: "host stack"},
		{Kind: backends.Received, Role: "x", ID: 4},
		{Kind: backends.OnWire, Role: "h1", ID: 6},
		{Kind: backends.OnWire, Role: "h1"},
	}
	got := packetTraces(seen, map[uint64][]string{4: {"1 in", "2 out"}})
	want := []struct {
		id    uint64
		fate  string
		steps int
	}{{4, "DELIVERED at x", 2}, {5, "DROPPED NoRoute at host stack", 0}, {6, "SEEN, not delivered", 0}}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i, w := range want {
		if got[i].ID != w.id || got[i].Fate != w.fate || len(got[i].Steps) != w.steps || got[i].Dropped != (w.id == 5) {
			t.Errorf("%+v", got[i])
		}
	}
}

// tracingWorld explains its packets until it is closed.
type tracingWorld struct {
	backends.World
	closed bool
}

func (*tracingWorld) Observations() []backends.Observation {
	return []backends.Observation{{Kind: backends.Sent, Role: "c1", ID: 4}}
}

func (w *tracingWorld) Trace(uint64) []string {
	if w.closed {
		return nil
	}
	return []string{"step"}
}

func (w *tracingWorld) Close(context.Context) ([]string, error) { w.closed = true; return nil, nil }

type tracingBackend struct{ fakeBackend }

func (tracingBackend) Open(context.Context, backends.WorldConfig) (backends.World, error) {
	return &tracingWorld{}, nil
}

func TestTracesAreTakenBeforeTheWorldIsGone(t *testing.T) {
	b := tracingBackend{fakeBackend{caps: []backends.Capability{backends.PacketTrace, backends.VirtualTime}}}
	run, err := Trace(t.Context(), Config{Backend: b, exec: func(ctx context.Context, sc *script.Scenario, b backends.Backend, o script.Options) *script.Result {
		w, err := b.Open(ctx, backends.WorldConfig{Tracing: o.Tracing})
		if err != nil {
			t.Error(err)
		}
		seen := w.Observations()
		if _, err := w.Close(ctx); err != nil {
			t.Error(err)
		}
		return &script.Result{Status: script.Passed, Observations: seen}
	}}, mkSuite(1)[0])
	if err != nil || len(run.Packets) != 1 || !slices.Equal(run.Packets[0].Steps, []string{"step"}) {
		t.Errorf("%v %+v", err, run)
	}
	var usage *UsageError
	if _, err := Trace(t.Context(), Config{Backend: fakeBackend{}}, mkSuite(1)[0]); !errors.As(err, &usage) {
		t.Errorf("a backend that cannot trace: %v", err)
	}
}

func TestAnEditedScenarioStopsAndGoesOnElsewhere(t *testing.T) {
	file := writeFile(t, "s.txtar", "# TRY-01: a scenario\n# rules: NAT-10\nhost h1 ip=10.0.0.1/24\nadvance 1s\nnetwork h1 n1 net.json\n-- net.json --\n{\"Name\":\"n1\",\"Type\":\"NAT\"}\n")
	specs, err := LoadFiles([]string{file})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		until int
		add   []string
		want  string // end of the script, or the error
	}{
		{"nothing changes", 0, nil, "network h1 n1 net.json\n-- net.json --"},
		{"a line more", 0, []string{"advance 9s"}, "advance 9s\n-- net.json --"},
		{"stopped before the network its document goes", 5, []string{"advance 2s"}, "advance 1s\nadvance 2s\n"},
		{"beyond the end", 7, nil, "there is no line 7"},
		{"a bad line", 0, []string{"fly"}, `unknown word "fly"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Edit(specs[0], tt.until, tt.add)
			text := ""
			if err != nil {
				text = err.Error()
			} else {
				text = string(got.Script().Source)
				if got.ID != specs[0].ID || got.File != specs[0].File {
					t.Errorf("%s in %s", got.ID, got.File)
				}
			}
			if !strings.Contains(text, tt.want) {
				t.Errorf("no %q in\n%s", tt.want, text)
			}
		})
	}
}

func TestWhatIsCitedIsCoveredAndNothingElse(t *testing.T) {
	all := len(Uncovered(nil))
	specs := mkSuite(1) // cites NAT-13
	specs[0].Rules = []string{"nat-13", "NAT-10", "NAT-10"}
	left := Uncovered(specs)
	if len(left) != all-2 {
		t.Errorf("%d rules without scenarios, and %d with one that cites two", all, len(left))
	}
	if slices.ContainsFunc(left, func(r *contract.Rule) bool { return r.ID == "NAT-13" || r.IsSection }) {
		t.Error("a cited rule or a section counts as uncovered")
	}
	if marks := contract.Marks(); len(marks) > 0 {
		if slices.ContainsFunc(left, func(r *contract.Rule) bool { return r == marks[0].Rule }) {
			t.Errorf("%s is marked and counts as uncovered", marks[0].Rule.ID)
		}
		specs[0].Rules = []string{strings.ToLower(marks[0].Rule.ID)}
		if got := StaleMarks(specs); len(got) != 1 || got[0] != marks[0] {
			t.Errorf("the mark of a cited rule is not stale: %v", got)
		}
	}
	proposed := contract.Scenarios()
	specs[0].Base = strings.ToLower(proposed[0].ID)
	if got := len(Missing(specs)); got != len(proposed)-1 {
		t.Errorf("%d of %d are missing", got, len(proposed))
	}
}

func TestNoScenarioCitesAMarkedRule(t *testing.T) {
	specs, err := Suite()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range StaleMarks(specs) {
		t.Errorf("marks.md:%d: %s is marked %s, and a scenario cites it: take the mark away", m.Line, m.Rule.ID, m.Kind)
	}
}
