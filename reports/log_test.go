package reports

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func logOf(events []Event) string {
	var b bytes.Buffer
	l := NewLogWriter(&b, nil)
	for _, e := range events {
		l.Event(e)
	}
	return b.String()
}

func TestALogCutAnywhereGivesAPartialReport(t *testing.T) {
	whole := logOf(mkEvents())
	for cut := range len(whole) {
		r, err := Load(strings.NewReader(whole[:cut]))
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if r.Complete && cut < len(whole)-1 {
			t.Fatalf("cut at %d: complete", cut)
		}
		if n := r.Totals(); n.Passed+n.Failed+n.Errors == 0 && len(r.Results) > 1 {
			t.Fatalf("cut at %d: results lost: %+v", cut, n)
		}
	}
}

func TestAScenarioWithoutAnEndDoesNotCountAsPassed(t *testing.T) {
	r, err := Load(strings.NewReader(logOf(mkEvents()[:2])))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Results[0].Status; got != NotRun {
		t.Errorf("status %q", got)
	}
}

func TestBadLogsAreRefusedWithTheirLine(t *testing.T) {
	head := `{"schema":"hnsim.events/1","seq":0,"event":"run.started"}` + "\n"
	tests := []struct{ name, log, want string }{
		{"another program's log", `{"Action":"run","event":"x"}` + "\n", `line 1: schema is ""`},
		{"a newer major version", `{"schema":"hnsim.events/2","event":"run.started"}` + "\n", `line 1: schema is "hnsim.events/2"`},
		{"not JSON", head + "hello\n", "line 2: invalid character"},
		{"no kind", head + "{}\n", `line 2: no "event"`},
		{"a status that does not exist", head + `{"event":"scenario.finished","id":"a","outcome":{"status":"great"}}` + "\n", `line 2: unknown status "great"`},
		{"a scenario without id", head + `{"event":"scenario.started"}` + "\n", "line 2: scenario.started without id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(strings.NewReader(tt.log))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestUnknownEventsAndFieldsAreIgnored(t *testing.T) {
	log := logOf(mkEvents()[:1]) + `{"seq":1,"event":"weather.changed","sky":"blue"}` + "\n" + `{"seq":2,"event":"run.finished","more":1}` + "\n"
	r, err := Load(strings.NewReader(log))
	if err != nil || !r.Complete {
		t.Errorf("%v %+v", err, r)
	}
}

func TestALineBeyondTheBoundIsAnErrorAndNotMemory(t *testing.T) {
	_, err := Load(strings.NewReader(strings.Repeat("x", MaxLineBytes+1)))
	if err == nil {
		t.Error("accepted")
	}
}

type failingWriter struct{ after int }

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.after == 0 {
		return 0, errors.New("disk full")
	}
	w.after--
	return len(p), nil
}

func TestTheLogWriterKeepsItsFirstErrorAndStaysQuiet(t *testing.T) {
	l := NewLogWriter(&failingWriter{after: 2}, nil)
	for _, e := range mkEvents() {
		l.Event(e)
	}
	if l.Err() == nil || !strings.Contains(l.Err().Error(), "disk full") {
		t.Errorf("got %v", l.Err())
	}
}

func TestALongTraceIsCutInTheLog(t *testing.T) {
	trace := make([]string, 3*maxTraceLines)
	f := &Failure{Message: "m", Trace: trace}
	r, err := Load(strings.NewReader(logOf([]Event{{Kind: RunStarted}, {Kind: ScenarioFailed, ID: "a", Failure: f}})))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.Results[0].Failure.Trace); n != maxTraceLines+1 {
		t.Errorf("%d lines", n)
	}
	if len(f.Trace) != 3*maxTraceLines {
		t.Error("the caller's trace was cut")
	}
}

// FuzzReadLog holds the reader to three things: it never panics, what it
// accepts can be written and read again with the same report, and every
// format can be derived from it.
func FuzzReadLog(f *testing.F) {
	f.Add([]byte(logOf(mkEvents())))
	f.Add([]byte(`{"schema":"hnsim.events/1","event":"scenario.finished","id":"a","outcome":{"status":"passed"}}`))
	f.Add([]byte("{\"schema\":\"hnsim.events/1\",\"event\":\"x\"}\n\n{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var c Collector
		var events []Event
		err := ReadLog(bytes.NewReader(data), Sinks{&c, sinkFunc(func(e Event) { events = append(events, e) })})
		if err != nil && len(events) == 0 {
			return
		}
		again, err := Load(strings.NewReader(logOf(events)))
		if err != nil && len(events) > 0 {
			t.Fatalf("what was accepted is refused when written again: %v", err)
		}
		if a, b := c.Report().Totals(), again.Totals(); a != b {
			t.Fatalf("%+v became %+v", a, b)
		}
		var out bytes.Buffer
		for _, write := range []error{WriteJUnit(&out, again), WriteSummary(&out, again), WriteMarkdown(&out, again, 0), WriteAnnotations(&out, again)} {
			if write != nil {
				t.Fatal(write)
			}
		}
	})
}

type sinkFunc func(Event)

func (f sinkFunc) Event(e Event) { f(e) }
