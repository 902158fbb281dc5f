package main

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

func run(t *testing.T, args ...string) (code int, out, errOut string) {
	var o, e strings.Builder
	code = command(t.Context(), args, &o, &e)
	return code, o.String(), e.String()
}

func TestWrongUsageIsToldFromFailure(t *testing.T) {
	for _, args := range [][]string{{}, {"nosuch"}, {"-run", "(", "hcsshim"}, {"-nosuch"}} {
		if code, _, errOut := run(t, args...); code != exitUsage || errOut == "" {
			t.Errorf("%q: exit code %d, %q", args, code, errOut)
		}
	}
	if code, out, _ := run(t, "-list"); code != exitOK || strings.Count(out, "\n") != 2*len(suites) {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

func TestWithoutToolsNothingWasTested(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("MINGW_CC", "no-such-compiler")
	if code, _, errOut := run(t, "-work", t.TempDir(), "hcsshim"); code != exitNotTested || !strings.Contains(errOut, "install") {
		t.Errorf("exit code %d, %q", code, errOut)
	}
}

func TestOnlyACompleteTableIsOK(t *testing.T) {
	good := outcome{verdict: passed}
	bad := outcome{verdict: failed, said: "why\n"}
	tests := []struct {
		name   string
		listed int
		rows   []row
		ok     bool
		want   string
	}{
		{"all pass", 2, []row{{"TestA", good, good}, {"TestB", good, good}}, true, "of 2 cases 2 pass alone, 2 together"},
		{"one fails alone", 2, []row{{"TestA", bad, good}, {"TestB", good, good}}, false, "TestA, alone: FAIL\n    why"},
		{"one fails together", 2, []row{{"TestA", good, good}, {"TestB", good, bad}}, false, "TestB, together: FAIL\n    why"},
		{"one skips", 2, []row{{"TestA", outcome{verdict: skipped, said: "needs x"}, good}}, false, "needs x"},
		{"too few were built", 1, []row{{"TestA", good, good}}, false, "at least 2"},
		{"none", 2, nil, false, "of 0 cases"},
	}
	for _, tt := range tests {
		tb := table{suite: &suite{Name: "s", Module: "m", Version: "v1", AtLeast: 2}, listed: tt.listed, rows: tt.rows}
		var out strings.Builder
		tb.print(&out, time.Second)
		if tb.ok() != tt.ok || !strings.Contains(out.String(), tt.want) {
			t.Errorf("%s: ok %v\n%s", tt.name, tb.ok(), out.String())
		}
	}
}

func TestLinesFitATerminal(t *testing.T) {
	tb := table{suite: &suite{Name: "s"}, rows: []row{
		{strings.Repeat("a ", 60), outcome{verdict: passed}, outcome{verdict: passed}},
		{"TestLong", outcome{verdict: failed, said: strings.Repeat("€", 5000)}, outcome{verdict: passed}},
	}}
	var out strings.Builder
	tb.print(&out, 0)
	for line := range strings.Lines(out.String()) {
		if len(line) > maxLine+20 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
	if strings.Contains(out.String(), "\uFFFD") {
		t.Error("a rune was cut in two")
	}
}

func TestSuitesAreComplete(t *testing.T) {
	for _, s := range suites {
		if find(s.Name) == nil || s.Module == "" || !regexp.MustCompile(`^v\d+\.\d+\.\d+$`).MatchString(s.Version) ||
			s.Dir == "" || s.Profile == "" || s.AtLeast == 0 || s.Dialect == nil || s.About == "" {
			t.Errorf("%+v", s)
		}
	}
}
