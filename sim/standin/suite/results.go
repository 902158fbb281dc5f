package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// verdict is how a case came out.
type verdict string

const (
	passed  verdict = "ok"
	failed  verdict = "FAIL"
	skipped verdict = "skip"
	// missing is a case that began or was asked for and has no result: the
	// process died, or never got there.
	missing verdict = "none"
)

// outcome is the result of one case.
type outcome struct {
	verdict verdict
	said    string // what it printed, or why it has no result
}

// dialect is how a test program lists its cases, is asked for some, and tells
// their results. Paths are relative to the folder that the program runs in.
type dialect interface {
	listArgs() []string
	list(output []byte, dir string) ([]string, error)
	// runArgs asks for these cases; none is all of them.
	runArgs(names ...string) []string
	// results are by name; a case that did not run is absent.
	results(output []byte, dir string) (map[string]outcome, error)
}

// goTests is a program of the testing package; its cases are the top-level
// tests.
type goTests struct{}

func (goTests) listArgs() []string { return []string{"-test.list", "."} }

var testName = regexp.MustCompile(`^Test[\p{L}\p{N}_]*$`)

func (goTests) list(output []byte, _ string) ([]string, error) {
	var names []string
	for line := range strings.Lines(string(output)) {
		if line = strings.TrimSpace(line); testName.MatchString(line) {
			names = append(names, line)
		}
	}
	return names, nil
}

func (goTests) runArgs(names ...string) []string {
	// test2json marks the lines of the framework, so that a test that prints
	// "--- PASS" is not taken for one that passed.
	args := []string{"-test.v=test2json", "-test.timeout=5m"}
	if len(names) > 0 {
		args = append(args, "-test.run", "^("+strings.Join(names, "|")+")$")
	}
	return args
}

const mark = "\x16" // of the lines of the framework

var resultLine = regexp.MustCompile(`^--- (PASS|FAIL|SKIP): (\S+) \([0-9.]+s\)$`)

var verdicts = map[string]verdict{"PASS": passed, "FAIL": failed, "SKIP": skipped}

func (goTests) results(output []byte, _ string) (map[string]outcome, error) {
	out := map[string]outcome{}
	said := map[string]string{}
	current := ""
	for line := range strings.Lines(string(output)) {
		text := strings.TrimRight(line, "\r\n")
		// A test may have left its last line open, so that the mark need not
		// be at the beginning of a line.
		before, framework, found := strings.Cut(text, mark)
		if current != "" && strings.TrimSpace(before) != "" {
			said[current] += before + "\n"
		}
		if !found {
			continue
		}
		if word, name, ok := strings.Cut(strings.TrimPrefix(framework, "=== "), " "); ok && word == "RUN" || word == "NAME" || word == "CONT" {
			current = topLevel(strings.TrimSpace(name))
			if _, begun := out[current]; !begun && current != "" {
				out[current] = outcome{verdict: missing}
			}
			continue
		}
		if m := resultLine.FindStringSubmatch(framework); m != nil && !strings.Contains(m[2], "/") {
			out[m[2]] = outcome{verdict: verdicts[m[1]]}
			current = m[2]
		} else if m != nil {
			said[topLevel(m[2])] += framework + "\n"
		}
	}
	for name, o := range out {
		o.said = said[name]
		out[name] = o
	}
	return out, nil
}

func topLevel(name string) string {
	name, _, _ = strings.Cut(name, "/")
	return name
}

// ginkgoSpecs is a program of the Ginkgo framework; its cases are the specs.
type ginkgoSpecs struct{}

const ginkgoReport = "ginkgo.json"

func (ginkgoSpecs) listArgs() []string {
	return []string{"-ginkgo.dry-run", "-ginkgo.json-report=" + ginkgoReport}
}

func (ginkgoSpecs) runArgs(names ...string) []string {
	args := []string{"-ginkgo.json-report=" + ginkgoReport, "-ginkgo.timeout=5m", "-ginkgo.no-color"}
	for _, name := range names {
		// Ginkgo matches the name with the suite's description before it.
		args = append(args, "-ginkgo.focus=(^| )"+regexp.QuoteMeta(name)+"$")
	}
	return args
}

// ginkgoSpec is what is read of a spec in Ginkgo's report.
type ginkgoSpec struct {
	ContainerHierarchyTexts    []string
	LeafNodeType               string
	LeafNodeText               string
	State                      string
	CapturedGinkgoWriterOutput string
	Failure                    struct {
		Message  string
		Location struct {
			FileName   string
			LineNumber int
		}
	}
}

func (s *ginkgoSpec) name() string {
	return strings.Join(append(append([]string{}, s.ContainerHierarchyTexts...), s.LeafNodeText), " ")
}

func readGinkgo(dir string) ([]ginkgoSpec, error) {
	raw, err := os.ReadFile(filepath.Join(dir, ginkgoReport))
	if err != nil {
		return nil, err
	}
	return parseGinkgo(raw)
}

func parseGinkgo(raw []byte) ([]ginkgoSpec, error) {
	var reports []struct{ SpecReports []ginkgoSpec }
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&reports); err != nil {
		return nil, fmt.Errorf("the report of Ginkgo: %w", err)
	}
	var specs []ginkgoSpec
	for _, r := range reports {
		for _, s := range r.SpecReports {
			if s.LeafNodeType == "It" { // others are set-up and tear-down
				specs = append(specs, s)
			}
		}
	}
	return specs, nil
}

func (ginkgoSpecs) list(_ []byte, dir string) ([]string, error) {
	specs, err := readGinkgo(dir)
	var names []string
	for _, s := range specs {
		names = append(names, s.name())
	}
	return names, err
}

func (ginkgoSpecs) results(_ []byte, dir string) (map[string]outcome, error) {
	specs, err := readGinkgo(dir)
	if err != nil {
		return nil, err
	}
	return ginkgoOutcomes(specs), nil
}

// ginkgoOutcomes leaves out what the focus left out, which Ginkgo reports as
// skipped without a message. Specs of one name pass together or not at all.
func ginkgoOutcomes(specs []ginkgoSpec) map[string]outcome {
	out := map[string]outcome{}
	for _, s := range specs {
		o := outcome{said: s.CapturedGinkgoWriterOutput}
		switch {
		case s.State == "passed":
			o.verdict = passed
		case s.State == "skipped" && s.Failure.Message == "":
			continue
		case s.State == "skipped" || s.State == "pending":
			o.verdict = skipped
			o.said += s.Failure.Message
		default:
			o.verdict = failed
			o.said += fmt.Sprintf("%s: %s\n%s:%d\n", s.State, s.Failure.Message, s.Failure.Location.FileName, s.Failure.Location.LineNumber)
		}
		if old, again := out[s.name()]; !again || old.verdict == passed {
			out[s.name()] = o
		}
	}
	return out
}
