package conformance

import (
	"strings"
	"testing"
	"time"
)

func day(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

func TestAnExpectationFileIsReadAsWritten(t *testing.T) {
	text := `
# a comment
fail  acl/endpoint/block-out-nat  build>=26100  issue=microsoft/Windows-Containers#616  until=2027-03-01  # not applied
flaky dns/**     backend=hns   issue=kubernetes/kubernetes#111323
skip  rule:SDN-* backend!=sim profile=ws2025 hns<10.2 reason="needs # a Network Controller"
`
	got, err := ParseExpectations("x.expect", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 {
		t.Fatalf("%d lines", len(got))
	}
	a, b, c := got[0], got[1], got[2]
	if a.Kind != ExpectFail || a.Select.Text != "acl/endpoint/block-out-nat" || a.Issue != "microsoft/Windows-Containers#616" ||
		!a.Until.Equal(day("2027-03-01")) || a.Line != 3 || a.File != "x.expect" || a.When[0] != (Condition{"build", ">=", "26100"}) {
		t.Errorf("%+v", a)
	}
	if b.Kind != ExpectFlaky || !b.Until.IsZero() || len(b.When) != 1 {
		t.Errorf("%+v", b)
	}
	if c.Kind != ExpectSkip || c.Reason != "needs # a Network Controller" || len(c.When) != 3 {
		t.Errorf("%+v", c)
	}
}

func TestABadExpectationNamesItsLineAndWhatIsExpected(t *testing.T) {
	tests := []struct{ line, want string }{
		{"fail a issue=x field=eth.src", "only comparisons look at fields"},
		{"differ a issue=x field=", "field has no value"},
		{"fial a issue=x", `found "fial", expected fail, flaky, skip or differ; did you mean fail?`},
		{"fail", "names no scenarios"},
		{"fail a", "fail without issue=OWNER/REPO#N or reason="},
		{"flaky a until=2027-01-01", "flaky without issue="},
		{"skip a issue=x", `skip without reason="..."`},
		{"fail a issue=", "issue has no value"},
		{"fail a issue>=x", "issue takes =, not >="},
		{"fail a issue=x until=tomorrow", `until "tomorrow" is not a date`},
		{"fail a issue=x until=2027-02-30", `is not a date`},
		{"fail a issue=x build>=new", `build "new" is not a number`},
		{"fail a issue=x hns>=ten", `hns "ten" is not a version`},
		{"fail a issue=x backend>sim", "backend takes = or !=, not >"},
		{"fail a issue=x bakcend=sim", `unknown name "bakcend"; did you mean backend?`},
		{"fail a issue=x whatever", `found "whatever", expected name=value`},
		{"fail a issue=x =y", `found "=y", expected name=value`},
		{`fail a reason="open`, `a " is not closed`},
		{"fail rul:NAT-01 issue=x", `unknown kind of selector "rul" in "rul:NAT-01"; did you mean rule?`},
		{"fail rule: issue=x", `selector "rule:" has no value`},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			_, err := ParseExpectations("x.expect", []byte("# one\n"+tt.line+"\n"))
			if err == nil || !strings.HasPrefix(err.Error(), "x.expect:2: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestAllBadLinesAreReportedAtOnce(t *testing.T) {
	_, err := ParseExpectations("x", []byte("fail a\nskip b\nfail c issue=y\nnope\n"))
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("got %v", err)
	}
}

func TestConditionsLimitAnExpectationToRuns(t *testing.T) {
	env := Env{Backend: "hns", Profile: "ws2022", HNSVersion: "9.10", OSBuild: 20348}
	tests := []struct {
		cond string
		want bool
	}{
		{"backend=hns", true}, {"backend=sim", false}, {"backend!=sim", true}, {"backend!=hns", false},
		{"profile=ws2022", true}, {"build=20348", true}, {"build!=20348", false}, {"build>=20348", true}, {"build>20348", false},
		{"build<26100", true}, {"build<=20347", false},
		{"hns>=9.2", true}, {"hns<9.9", false}, {"hns>=10", false}, {"hns=9.10", true},
		{"backend=hns build>=26100", false},
	}
	for _, tt := range tests {
		got, err := ParseExpectations("x", []byte("fail a issue=y "+tt.cond))
		if err != nil {
			t.Fatal(err)
		}
		if got[0].Holds(env) != tt.want {
			t.Errorf("%s: %v", tt.cond, !tt.want)
		}
	}
}

func TestAnExpectationHoldsThroughItsLastDay(t *testing.T) {
	e := Expectation{Until: day("2027-03-01")}
	for at, want := range map[string]bool{"2027-02-28": false, "2027-03-01": false, "2027-03-03": true} {
		if got := e.Expired(day(at)); got != want {
			t.Errorf("on %s: %v", at, got)
		}
	}
	if (&Expectation{}).Expired(day("2999-01-01")) {
		t.Error("an expectation without end expired")
	}
}

func FuzzParseExpectations(f *testing.F) {
	f.Add([]byte("fail a/** build>=1 issue=x#1 until=2027-01-01 # c\nflaky rule:A-1 reason=\"b c\"\nskip b reason=x"))
	f.Add([]byte("fail \"a b\" hns<1.2.3 backend!=x issue=\"\""))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, _ := ParseExpectations("f", text)
		for _, e := range got {
			e.Holds(Env{OSBuild: 1, HNSVersion: "1.2"})
			e.Select.Matches(&Spec{Path: "a/b"})
			if e.Issue == "" && e.Reason == "" {
				t.Errorf("line %d has neither issue nor reason", e.Line)
			}
		}
	})
}
