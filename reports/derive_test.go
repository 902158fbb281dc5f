package reports

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestEveryFormatMatchesItsGoldenFile(t *testing.T) {
	tests := []struct {
		name  string
		write func(io.Writer, *Report) error
	}{
		{"junit.xml", WriteJUnit},
		{"summary.json", WriteSummary},
		{"summary.md", func(w io.Writer, r *Report) error { return WriteMarkdown(w, r, 0) }},
		{"annotations.txt", WriteAnnotations},
		{"terminal.txt", func(w io.Writer, r *Report) error {
			tw := &TextWriter{W: w, OutAt: "hnsim-out"}
			tw.Header(&r.Run)
			for i := range r.Results {
				tw.Line(&r.Results[i])
			}
			for _, res := range r.With(Failed, XPass, Error) {
				tw.Failure(&res)
			}
			tw.Footer(r, 3100*time.Millisecond)
			return nil
		}},
		{"events.ndjson", func(w io.Writer, _ *Report) error {
			l := NewLogWriter(w, nil)
			for _, e := range mkEvents() {
				l.Event(e)
			}
			return l.Err()
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := tt.write(&b, mkReport()); err != nil {
				t.Fatal(err)
			}
			checkGolden(t, tt.name, b.Bytes())
		})
	}
}

func TestALogReadBackGivesTheSameReport(t *testing.T) {
	var b bytes.Buffer
	l := NewLogWriter(&b, nil)
	for _, e := range mkEvents() {
		l.Event(e)
	}
	got, err := Load(&b)
	if err != nil {
		t.Fatal(err)
	}
	if want := mkReport(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestTheTotalsCountEveryStatusOnce(t *testing.T) {
	n := mkReport().Totals()
	want := Totals{Selected: 8, Passed: 1, Failed: 1, Skipped: 1, XFail: 1, XPass: 1, Flaky: 1, Errors: 1, NotRun: 1}
	if n != want {
		t.Errorf("got %+v, want %+v", n, want)
	}
	if n.Executed() != 5 {
		t.Errorf("executed %d, want 5: skips, harness errors and what was not run are no verdicts", n.Executed())
	}
}

func TestTheJSONSummaryHoldsNoWallClockTime(t *testing.T) {
	slow := mkReport()
	for i := range slow.Results {
		slow.Results[i].Wall += time.Hour
	}
	slow.Started = "2031-01-01T00:00:00Z"
	var a, b bytes.Buffer
	if err := WriteSummary(&a, mkReport()); err != nil {
		t.Fatal(err)
	}
	if err := WriteSummary(&b, slow); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("two runs that differ in duration only have different summaries")
	}
}

func TestTheSummaryIsOneObjectWithTheAgreedNames(t *testing.T) {
	var b bytes.Buffer
	if err := WriteSummary(&b, mkReport()); err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(&b)
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		t.Fatal(err)
	}
	if dec.More() {
		t.Error("something follows the object")
	}
	for _, name := range []string{"selected", "passed", "failed", "skipped", "xfail", "xpass", "errors", "results", "seed", "profile", "backend", "eventHash"} {
		if _, ok := m[name]; !ok {
			t.Errorf("no %q", name)
		}
	}
	for i, r := range m["results"].([]any) {
		for _, name := range []string{"id", "status", "reason", "rules"} {
			if _, ok := r.(map[string]any)[name]; !ok {
				t.Errorf("result %d has no %q", i, name)
			}
		}
	}
}

func TestJUnitIsWellFormedWhateverTheTextsHold(t *testing.T) {
	nasty := "a\x00b\x1b[0m ]]> & < \" ' \xff \uffff \u0085 tab\t"
	r := &Report{Results: []Result{{
		Scenario: Scenario{ID: "S-" + nasty, Area: nasty, File: nasty},
		Outcome:  Outcome{Status: Failed, Reason: nasty},
		Failure:  &Failure{Message: nasty, Detail: nasty, Trace: []string{nasty}},
	}, {Scenario: Scenario{ID: "b"}, Outcome: Outcome{Status: Skipped, Reason: nasty}}}}
	var b bytes.Buffer
	if err := WriteJUnit(&b, r); err != nil {
		t.Fatal(err)
	}
	dec := xml.NewDecoder(&b)
	for {
		if _, err := dec.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, b.String())
		}
	}
	if strings.ContainsAny(b.String(), "\x00\x1b") {
		t.Error("control characters survive")
	}
}

func TestEverySkipInJUnitHasAReason(t *testing.T) {
	for _, s := range []Status{Skipped, NotRun, XFail, Flaky} {
		res := Result{Scenario: Scenario{ID: "x"}, Outcome: Outcome{Status: s, Reason: "needs DSR"}}
		c := junitTestcase(&res)
		if c.Skipped == nil || !strings.Contains(c.Skipped.Message, "needs DSR") {
			t.Errorf("%s: %+v", s, c.Skipped)
		}
	}
}

func TestTheMarkdownSummaryStaysInItsBudgetAndSaysSo(t *testing.T) {
	r := &Report{Complete: true}
	for i := range 3000 {
		r.Results = append(r.Results, Result{
			Scenario: Scenario{ID: fmt.Sprintf("S-%d", i), Area: fmt.Sprintf("area%d", i)},
			Outcome:  Outcome{Status: Failed, Reason: strings.Repeat("x", 300)},
			Failure:  &Failure{Message: strings.Repeat("y", 500), Detail: strings.Repeat("z", 500)},
		})
	}
	for _, budget := range []int{0, 4096, 50_000, 1 << 20} {
		var b bytes.Buffer
		if err := WriteMarkdown(&b, r, budget); err != nil {
			t.Fatal(err)
		}
		most := budget
		if most == 0 {
			most = MarkdownBudget
		}
		if b.Len() > most {
			t.Errorf("budget %d: %d bytes", budget, b.Len())
		}
		if !strings.Contains(b.String(), "left out: the summary is full") {
			t.Errorf("budget %d: does not say that it is cut", budget)
		}
	}
}

func TestAnnotationsAreCappedAndTheLastCountsTheRest(t *testing.T) {
	r := &Report{}
	for i := range 30 {
		r.Results = append(r.Results, Result{Scenario: Scenario{ID: fmt.Sprint("S-", i)}, Outcome: Outcome{Status: Failed, Reason: "100%\r\nno"}})
	}
	var b bytes.Buffer
	if err := WriteAnnotations(&b, r); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 10 {
		t.Fatalf("%d annotations, want 10", len(lines))
	}
	if !strings.Contains(lines[9], "21 more") {
		t.Errorf("last: %s", lines[9])
	}
	if want := "::error title=S-0::100%25%0Ano"; lines[0] != want {
		t.Errorf("got  %s\nwant %s", lines[0], want)
	}
}

func TestColourNeverCarriesMeaningAlone(t *testing.T) {
	for _, s := range Statuses() {
		res := Result{Scenario: Scenario{ID: "x"}, Outcome: Outcome{Status: s}}
		var plain, coloured strings.Builder
		(&TextWriter{W: &plain}).Line(&res)
		(&TextWriter{W: &coloured, Color: true}).Line(&res)
		if strings.ContainsRune(plain.String(), '\x1b') {
			t.Errorf("%s: escape without colour", s)
		}
		stripped := coloured.String()
		for _, c := range []string{string(red), string(green), string(yellow), string(dim), string(bold), reset} {
			stripped = strings.ReplaceAll(stripped, c, "")
		}
		if stripped != plain.String() {
			t.Errorf("%s: %q without colour is %q", s, stripped, plain.String())
		}
	}
}

func TestIdentifiersAreNeverWrapped(t *testing.T) {
	long := "overlay/" + strings.Repeat("very-long-name-", 12)
	res := Result{Scenario: Scenario{ID: long}, Outcome: Outcome{Status: Failed, Repro: "hnsim run " + long}, Failure: &Failure{Message: "no"}}
	var b strings.Builder
	(&TextWriter{W: &b, Width: 40}).Failure(&res)
	if strings.Count(b.String(), long) != 2 {
		t.Errorf("the id does not stand whole, twice, in\n%s", b.String())
	}
}
