package statement

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hnsim/hnsim/reports"
)

// The document's identity.
const (
	APIVersion = "conformance.hnsim.dev/v1"
	Kind       = "ConformanceReport"
)

// Result is the verdict about a part of the suite.
type Result string

// Success: everything that applies passed. Partial: nothing failed, but
// something that applies was not tested or is a declared deviation. Failure:
// something failed.
const (
	Success Result = "success"
	Partial Result = "partial"
	Failure Result = "failure"
)

// Report is the document.
type Report struct {
	APIVersion     string         `json:"apiVersion" yaml:"apiVersion"`
	Kind           string         `json:"kind" yaml:"kind"`
	Date           string         `json:"date" yaml:"date"` // of the first run, RFC 3339
	SuiteVersion   string         `json:"suiteVersion" yaml:"suiteVersion"`
	Mode           string         `json:"mode" yaml:"mode"` // "default", or what was changed: "knobs"
	Implementation Implementation `json:"implementation" yaml:"implementation"`
	Platform       Platform       `json:"platform" yaml:"platform"`
	Result         Result         `json:"result" yaml:"result"`
	Profiles       []Profile      `json:"profiles" yaml:"profiles"`
	Provenance     Provenance     `json:"provenance" yaml:"provenance"`
	ExpectHash     string         `json:"expectHash" yaml:"expectHash"`
	Reproduce      string         `json:"reproduce" yaml:"reproduce"`
}

// Implementation is who made what was tested.
type Implementation struct {
	Organization string   `json:"organization" yaml:"organization"`
	Project      string   `json:"project" yaml:"project"`
	URL          string   `json:"url" yaml:"url"`
	Version      string   `json:"version" yaml:"version"`
	Contact      []string `json:"contact" yaml:"contact"`
}

// Platform is what it ran on.
type Platform struct {
	Backend    string `json:"backend" yaml:"backend"`
	Profile    string `json:"profile" yaml:"profile"`
	OSBuild    int    `json:"osBuild" yaml:"osBuild"`
	HNSVersion string `json:"hnsVersion" yaml:"hnsVersion"`
	Arch       string `json:"arch" yaml:"arch"`
}

// Profile is an area of the suite.
type Profile struct {
	Name     string    `json:"name" yaml:"name"`
	Core     *Part     `json:"core,omitempty" yaml:"core,omitempty"`
	Extended *Extended `json:"extended,omitempty" yaml:"extended,omitempty"`
	Summary  string    `json:"summary" yaml:"summary"`
}

// Part is the verdict about some scenarios.
type Part struct {
	Result     Result     `json:"result" yaml:"result"`
	Statistics Statistics `json:"statistics" yaml:"statistics"`
	Failed     []string   `json:"failed,omitempty" yaml:"failed,omitempty"`     // ids
	Skipped    []string   `json:"skipped,omitempty" yaml:"skipped,omitempty"`   // that apply
	Deviates   []string   `json:"deviates,omitempty" yaml:"deviates,omitempty"` // failed as expected, or flaky
}

// Extended is a part with the features that it is about.
type Extended struct {
	Part                `json:",inline" yaml:",inline"`
	SupportedFeatures   []string `json:"supportedFeatures,omitempty" yaml:"supportedFeatures,omitempty"`
	UnsupportedFeatures []string `json:"unsupportedFeatures,omitempty" yaml:"unsupportedFeatures,omitempty"`
}

// Statistics count scenarios.
type Statistics struct {
	Passed        int `json:"passed" yaml:"passed"`
	Failed        int `json:"failed" yaml:"failed"`
	Skipped       int `json:"skipped" yaml:"skipped"` // apply, but were not tested
	Deviates      int `json:"deviates" yaml:"deviates"`
	NotApplicable int `json:"notApplicable" yaml:"notApplicable"` // for other builds or versions of HNS
}

// Provenance says what the document was made of.
type Provenance struct {
	Results   []string       `json:"results" yaml:"results"` // SHA-256 of each results file
	Commit    string         `json:"commit,omitempty" yaml:"commit,omitempty"`
	Seed      uint64         `json:"seed" yaml:"seed"`
	EventHash string         `json:"eventHash,omitempty" yaml:"eventHash,omitempty"`
	Rules     map[string]int `json:"rules" yaml:"rules"` // scenarios by the confidence of their rules
}

// Hash names a results file by its content.
func Hash(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Make derives the document from one report (see reports.Merge for several
// runs) and the hashes of the files that it was read from.
func Make(rep *reports.Report, hashes []string, who Implementation) (*Report, error) {
	if len(rep.Results) == 0 {
		return nil, fmt.Errorf("the results have no scenario: expected those of hnsim run")
	}
	run := &rep.Run
	out := &Report{APIVersion: APIVersion, Kind: Kind, Date: rep.Started, SuiteVersion: run.Version, Mode: mode(run), Implementation: who,
		Platform:   Platform{run.Backend, run.Profile, run.OSBuild, run.HNSVersion, run.Arch},
		Provenance: Provenance{Results: hashes, Seed: run.Seed, EventHash: rep.EventHash, Rules: map[string]int{}},
		ExpectHash: expectHash(run), Reproduce: reproduce(run)}
	if run.Git != nil {
		out.Provenance.Commit = run.Git.Commit
	}
	areas := map[string][]*reports.Result{}
	for i := range rep.Results {
		res := &rep.Results[i]
		area, _, _ := strings.Cut(res.Area, "/")
		areas[area] = append(areas[area], res)
		for _, c := range res.Confidence {
			out.Provenance.Rules[c]++
		}
	}
	out.Result = Success
	for _, area := range slices.Sorted(maps.Keys(areas)) {
		p := profile(area, areas[area])
		out.Profiles = append(out.Profiles, p)
		for _, part := range []*Part{p.Core, extendedPart(p.Extended)} {
			if part != nil {
				out.Result = worse(out.Result, part.Result)
			}
		}
	}
	if !rep.Complete || rep.Interrupted {
		out.Result = worse(out.Result, Partial)
	}
	return out, nil
}

func extendedPart(e *Extended) *Part {
	if e == nil {
		return nil
	}
	return &e.Part
}

func worse(a, b Result) Result {
	order := []Result{Success, Partial, Failure}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}

func mode(run *reports.RunInfo) string {
	var what []string
	if len(run.Knobs) > 0 {
		what = append(what, "knobs")
	}
	if len(run.Selectors)+len(run.Skip) > 0 || run.Labels != "" || run.Shard != "" {
		what = append(what, "selection")
	}
	if what == nil {
		return "default"
	}
	return strings.Join(what, ", ")
}

// expectHash condenses the expectation files that applied.
func expectHash(run *reports.RunInfo) string {
	if len(run.Expectations) == 0 {
		return "none"
	}
	var sums []string
	for _, e := range run.Expectations {
		sums = append(sums, e.SHA256)
	}
	slices.Sort(sums)
	return Hash([]byte(strings.Join(sums, "\n")))
}

// reproduce is the command line that gives these results again.
func reproduce(run *reports.RunInfo) string {
	words := []string{"hnsim", "run"}
	for _, s := range run.Selectors {
		words = append(words, quoted(s))
	}
	words = append(words, "--backend", quoted(run.Backend), "--profile", run.Profile, "--seed", fmt.Sprint(run.Seed))
	if run.Labels != "" {
		words = append(words, "--label", quoted(run.Labels))
	}
	for _, s := range run.Skip {
		words = append(words, "--skip", quoted(s))
	}
	for _, k := range slices.Sorted(maps.Keys(run.Knobs)) {
		words = append(words, "--knob", quoted(k+"="+run.Knobs[k]))
	}
	if run.TimeScale > 0 {
		words = append(words, "--time-scale", fmt.Sprint(run.TimeScale))
	}
	if run.NoFlowCache {
		words = append(words, "--no-flow-cache")
	}
	return strings.Join(words, " ")
}

func quoted(s string) string {
	if strings.ContainsAny(s, " *?[]!&|()<>$;'\"\\") {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

// core is the label of scenarios that every implementation must pass.
const core = "core"

func profile(name string, results []*reports.Result) Profile {
	p := Profile{Name: name}
	all := Part{Result: Success}
	supported, unsupported := map[string]bool{}, map[string]bool{}
	for _, res := range results {
		part := &p.Core
		if !slices.Contains(res.Labels, core) {
			if p.Extended == nil {
				p.Extended = &Extended{Part: Part{Result: Success}}
			}
			p.Extended.add(res)
			for _, f := range res.Requires {
				f = strings.TrimPrefix(strings.TrimPrefix(f, "feature:"), "capability:")
				if res.Status.Executed() {
					supported[f] = true
				} else if strings.Contains(res.Reason, f) {
					unsupported[f] = true
				}
			}
		} else {
			if *part == nil {
				*part = &Part{Result: Success}
			}
			(*part).add(res)
		}
		all.add(res)
	}
	if p.Extended != nil {
		p.Extended.SupportedFeatures = slices.Sorted(maps.Keys(supported))
		maps.DeleteFunc(unsupported, func(f string, _ bool) bool { return supported[f] })
		p.Extended.UnsupportedFeatures = slices.Sorted(maps.Keys(unsupported))
	}
	n := all.Statistics
	p.Summary = fmt.Sprintf("%s: %d passed, %d failed, %d deviate, %d skipped, %d not applicable", all.Result, n.Passed, n.Failed, n.Deviates, n.Skipped, n.NotApplicable)
	return p
}

// add counts a result.
func (p *Part) add(res *reports.Result) {
	s := &p.Statistics
	switch res.Status {
	case reports.Passed:
		s.Passed++
	case reports.XFail, reports.Flaky:
		// A deviation may be declared; it is none the less.
		s.Deviates++
		p.Deviates = append(p.Deviates, res.ID)
		p.Result = worse(p.Result, Partial)
	case reports.Skipped:
		if notApplicable(res.Reason) {
			s.NotApplicable++
			return
		}
		s.Skipped++
		p.Skipped = append(p.Skipped, res.ID)
		p.Result = worse(p.Result, Partial)
	case reports.NotRun:
		s.Skipped++
		p.Skipped = append(p.Skipped, res.ID)
		p.Result = worse(p.Result, Partial)
	default:
		s.Failed++
		p.Failed = append(p.Failed, res.ID)
		p.Result = Failure
	}
}

// notApplicable reports whether a scenario is for other builds, or for a
// feature that this version of HNS does not have.
func notApplicable(reason string) bool {
	return strings.HasPrefix(reason, "is for profiles ") || strings.HasPrefix(reason, "needs feature ") && !strings.Contains(reason, "but not on")
}
