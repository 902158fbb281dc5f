package reports

import (
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The dialect: what Jenkins, GitLab and the GitHub actions agree on. name is
// the scenario id and nothing else (it is the key of a test's history),
// classname its area with dots, file and line point into the scenario. A
// failed assertion is a failure, a harness error is an error; an expected
// failure is skipped with "expected failure: ...", because every reader shows
// skips and none knows xfail.
type (
	junitSuites struct {
		XMLName  xml.Name `xml:"testsuites"`
		Name     string   `xml:"name,attr"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Errors   int      `xml:"errors,attr"`
		Skipped  int      `xml:"skipped,attr"`
		Time     string   `xml:"time,attr"`
		Suites   []junitSuite
	}
	junitSuite struct {
		XMLName    xml.Name        `xml:"testsuite"`
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"`
		Timestamp  string          `xml:"timestamp,attr,omitempty"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Name      string        `xml:"name,attr"`
		Classname string        `xml:"classname,attr"`
		File      string        `xml:"file,attr,omitempty"`
		Line      int           `xml:"line,attr,omitempty"`
		Time      string        `xml:"time,attr"`
		Skipped   *junitMessage `xml:"skipped"`
		Failure   *junitMessage `xml:"failure"`
		Error     *junitMessage `xml:"error"`
		SystemOut *junitText    `xml:"system-out"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Body    string `xml:",cdata"`
	}
	junitText struct {
		Body string `xml:",cdata"`
	}
)

// WriteJUnit writes the report as JUnit XML.
func WriteJUnit(w io.Writer, r *Report) error {
	suite := junitSuite{
		Name:       strings.Join([]string{"hnsim", r.Run.Backend, r.Run.Profile}, "."),
		Timestamp:  r.Started,
		Properties: junitProperties(r),
	}
	var total time.Duration
	for i := range r.Results {
		res := &r.Results[i]
		c := junitTestcase(res)
		total += res.Wall
		suite.Tests++
		switch {
		case c.Failure != nil:
			suite.Failures++
		case c.Error != nil:
			suite.Errors++
		case c.Skipped != nil:
			suite.Skipped++
		}
		suite.Cases = append(suite.Cases, c)
	}
	suite.Time = seconds(total)
	all := junitSuites{
		Name: "hnsim", Tests: suite.Tests, Failures: suite.Failures, Errors: suite.Errors,
		Skipped: suite.Skipped, Time: suite.Time, Suites: []junitSuite{suite},
	}
	out, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("junit: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, out)
	return err
}

func junitTestcase(res *Result) junitCase {
	c := junitCase{
		Name:      printable(res.ID),
		Classname: printable(strings.ReplaceAll(res.Area, "/", ".")),
		File:      printable(res.File),
		Line:      res.Line,
		Time:      seconds(res.Wall),
	}
	if c.Classname == "" {
		c.Classname = "hnsim"
	}
	reason := printable(res.Reason)
	switch res.Status {
	case Failed:
		c.Failure = &junitMessage{Message: failureMessage(res), Type: "assertion", Body: printable(failureText(res))}
	case XPass:
		c.Failure = &junitMessage{Message: reason, Type: "unexpected-pass", Body: printable(expectationText(res))}
	case Error:
		c.Error = &junitMessage{Message: failureMessage(res), Type: "harness", Body: printable(failureText(res))}
	case Skipped:
		c.Skipped = &junitMessage{Message: reason}
	case NotRun:
		c.Skipped = &junitMessage{Message: "not run: " + reason}
	case XFail:
		c.Skipped = &junitMessage{Message: "expected failure: " + reason}
	case Flaky:
		c.Skipped = &junitMessage{Message: "known flaky, failed: " + reason}
	}
	if len(res.Artefacts) > 0 {
		var b strings.Builder
		for _, a := range res.Artefacts {
			fmt.Fprintf(&b, "%s: %s\n", a.Kind, a.Path)
		}
		c.SystemOut = &junitText{printable(b.String())}
	}
	return c
}

func failureMessage(res *Result) string {
	if res.Failure != nil && res.Failure.Message != "" {
		return printable(firstLine(res.Failure.Message))
	}
	return printable(firstLine(res.Reason))
}

// failureText is the failure as on a terminal, without colour.
func failureText(res *Result) string {
	var b strings.Builder
	(&TextWriter{W: &b, Width: 120}).Failure(res)
	return b.String()
}

func expectationText(res *Result) string {
	e := res.Expectation
	if e == nil {
		return ""
	}
	return fmt.Sprintf("%s:%d says %s %s", e.File, e.Line, e.Kind, e.Issue+e.Reason)
}

func junitProperties(r *Report) []junitProperty {
	var out []junitProperty
	add := func(name, value string) {
		if value != "" {
			out = append(out, junitProperty{name, printable(value)})
		}
	}
	run := &r.Run
	add("backend", run.Backend)
	add("profile", run.Profile)
	add("hnsVersion", run.HNSVersion)
	if run.OSBuild != 0 {
		add("osBuild", strconv.Itoa(run.OSBuild))
	}
	add("seed", strconv.FormatUint(run.Seed, 10))
	add("shard", run.Shard)
	add("version", run.Version)
	add("goVersion", run.GoVersion)
	if run.NoFlowCache {
		add("flowCache", "off")
	}
	if run.TimeScale > 0 {
		add("timeScale", strconv.Itoa(run.TimeScale))
	}
	for _, name := range slices.Sorted(maps.Keys(run.Knobs)) {
		add("knob."+name, run.Knobs[name])
	}
	for _, e := range run.Expectations {
		add("expect."+e.Path, "sha256:"+e.SHA256)
	}
	if run.Git != nil {
		add("git.commit", run.Git.Commit)
		add("git.branch", run.Git.Branch)
		add("git.dirty", strconv.FormatBool(run.Git.Dirty))
	}
	add("eventHash", r.EventHash)
	if !r.Complete || r.Interrupted {
		add("complete", "false")
	}
	return out
}

func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', 6, 64)
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s
}

// printable drops what XML 1.0 cannot carry and terminals should not see:
// control characters other than tab and line feed, surrogates, non-characters.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < 0x20, r >= 0x7f && r < 0xa0, r == 0xfffe, r == 0xffff:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
