package script

import (
	"context"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/backends"
)

func TestOnwardGoesOnBehindWhatDoesNotHold(t *testing.T) {
	var done []backends.Stimulus
	var lines []string
	res := mkRun(t, &fake{stimuli: &done}, `send c1 udp 10.1.0.10:1 > 10.1.0.20:53 'one'
expect c3 udp 'two'
! ping c1 > 10.1.0.20
stdout 'nothing like this'
send c1 udp 10.1.0.10:1 > 10.1.0.20:53 'three'
expect c3 udp 'three'`, Options{Onward: true, OnLine: func(s Step) {
		word, _, _ := strings.Cut(s.Command, " ")
		if s.Acts {
			word = strings.ToUpper(word)
		}
		lines = append(lines, word)
	}})
	if res.Status != Failed || !strings.Contains(res.Failure.Command, "expect c3 udp 'two'") || res.Stopped != nil {
		t.Errorf("%s %+v stopped %+v", res.Status, res.Failure, res.Stopped)
	}
	if len(done) != 3 {
		t.Errorf("%d stimuli, want all 3", len(done))
	}
	if got := strings.Join(lines, " "); !strings.HasSuffix(got, "SEND expect ! stdout SEND expect") {
		t.Errorf("lines %s", got)
	}
}

func TestOnwardLinesThatMayFailFailNothing(t *testing.T) {
	source := strings.Replace(mkSource("? expect c3 udp 'two'\n? ping c1 > 10.1.0.20"), "\n", "\n# checks: flow-table\n", 1)
	for _, onward := range []bool{false, true} {
		if res := Run(t.Context(), mkScenario(t, source), &fake{}, Options{Onward: onward}); res.Status != Passed {
			t.Errorf("onward %v: %s %+v", onward, res.Status, res.Failure)
		}
	}
}

func TestOnwardSaysWhatItCouldNotGetPast(t *testing.T) {
	tests := []struct{ name, script, reason string }{
		{"a value that was not saved", "send c1 udp > 10.1.0.20:53\nexpect c3 udp sport=9 save=port:sport\nsend c3 udp > 10.1.0.10:$port", "port"},
		{"a skip", "[backend-free] echo x\nsend c1 udp > 10.1.0.20:53\n[capability:drops] skip 'no need'", "no need"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			script := strings.TrimPrefix(tt.script, "[backend-free] echo x\n")
			res := mkRun(t, &fake{}, script, Options{Onward: true})
			if res.Stopped == nil || !strings.Contains(res.Stopped.Reason, tt.reason) || res.Stopped.Line == 0 {
				t.Errorf("%s %q, stopped %+v", res.Status, res.Reason, res.Stopped)
			}
		})
	}
	if res := mkRun(t, &fake{}, "[capability:drops] end\necho x", Options{Onward: true}); res.Stopped != nil || res.Status != Passed {
		t.Errorf("end is no stop: %+v", res.Stopped)
	}
}

func TestOnwardActsWhereNothingCanBeSeen(t *testing.T) {
	var done []backends.Stimulus
	b := &fake{without: []backends.Capability{backends.DropReasons}, stimuli: &done}
	const script = "send c1 udp > 10.1.0.20:53\ndrop none"
	if res := mkRun(t, b, script, Options{}); res.Status != Skipped || len(done) > 0 {
		t.Errorf("%s, %d stimuli", res.Status, len(done))
	}
	res := mkRun(t, b, script, Options{Onward: true})
	if res.Status != Skipped || !strings.Contains(res.Reason, "drops") || len(done) != 1 || len(res.Observations) == 0 {
		t.Errorf("%s %q, %d stimuli", res.Status, res.Reason, len(done))
	}
	b.without = append(b.without, backends.NATNetwork)
	done = nil
	if res := mkRun(t, b, "requires network.nat\n"+script, Options{Onward: true}); res.Status != Skipped || len(done) > 0 {
		t.Errorf("what needs more is still skipped: %s, %d stimuli", res.Status, len(done))
	}
}

// ignorant is a backend that answers nothing.
type ignorant struct{ *fake }

func (ignorant) Open(context.Context, backends.WorldConfig) (backends.World, error) {
	return nil, &backends.UnansweredError{Msg: "not in the recording: nothing"}
}

func TestWhatIsNotAnsweredIsSkipped(t *testing.T) {
	res := Run(context.Background(), mkScenario(t, mkSource("echo x")), ignorant{&fake{}}, Options{})
	if res.Status != Skipped || res.Reason != "not in the recording: nothing" {
		t.Errorf("%s %q", res.Status, res.Reason)
	}
	res = mkRun(t, &fake{harness: &backends.UnansweredError{Msg: "not in the recording: more"}}, "send c1 udp > 10.1.0.20:53", Options{})
	if res.Status != Skipped || res.Reason != "not in the recording: more" {
		t.Errorf("%s %q", res.Status, res.Reason)
	}
}

func TestTolerantLinesEndEitherWay(t *testing.T) {
	for text, want := range map[string]string{
		"ping c1 > c2":                           "? ping c1 > c2",
		"! ping c1 > c2":                         "? ping c1 > c2",
		"[profile:ws2019] [!feature:X] ! ping a": "[profile:ws2019] [!feature:X] ? ping a",
		"[ profile:ws2019 ] ! tcp a '! x'":       "[ profile:ws2019 ] ? tcp a '! x'",
	} {
		l := &line{text: text, negate: strings.Contains(text, "! p") || strings.Contains(text, "! t")}
		if got := l.tolerant(); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// Who looks on sees a scenario that passes pass.
func TestOnwardLetsLinesEndThatMayEndEitherWay(t *testing.T) {
	const script = "? expect c3 udp 'nothing'\nsend c1 udp 10.1.0.10:1 > 10.1.0.20:53 'one'"
	for _, onward := range []bool{false, true} {
		var done []backends.Stimulus
		sc := mkScenario(t, strings.Replace(mkSource(script), "# rules:", "# checks: flow-table\n# rules:", 1))
		res := Run(t.Context(), sc, &fake{stimuli: &done}, Options{Onward: onward})
		if res.Status != Passed || res.Stopped != nil || len(done) != 1 {
			t.Errorf("onward %v: %s %+v stopped %+v, %d stimuli", onward, res.Status, res.Failure, res.Stopped, len(done))
		}
	}
}
