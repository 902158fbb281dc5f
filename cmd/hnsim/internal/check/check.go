package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hnsim/hnsim/conformance"
	"github.com/hnsim/hnsim/scenarios/script"
	"github.com/hnsim/hnsim/sim/hcn"
)

// Finding is one thing that is wrong at one place.
type Finding struct {
	File     string   `json:"file"`
	Line     int      `json:"line,omitempty"`
	Path     string   `json:"path,omitempty"` // inside a JSON document
	Message  string   `json:"message"`
	Code     string   `json:"code,omitempty"` // what HNS answers
	Found    string   `json:"found,omitempty"`
	Expected string   `json:"expected,omitempty"`
	Profiles []string `json:"profiles,omitempty"` // those that reject it; empty: all
	Accepted []string `json:"accepted,omitempty"` // those that take the whole document
}

// maxBytes bounds a file: documents of real hosts have some hundred kilobytes.
const maxBytes = 16 << 20

// Checker checks files against build profiles.
type Checker struct {
	Profiles []string // names
	// Suite loads the scenarios that expectations may name. It is called for
	// expectation files only: a scenario can be checked while others are broken.
	Suite func() ([]*conformance.Spec, error)
	Now   time.Time
}

// File checks one file; the kind follows from its name. The error is trouble
// with reading, not a finding.
func (c *Checker) File(name string) ([]Finding, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a folder; name its files, such as %s/*.txtar", name, name)
	}
	if info.Size() > maxBytes {
		return nil, fmt.Errorf("%s has %d bytes, at most %d", name, info.Size(), maxBytes)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	name = filepath.ToSlash(name)
	switch strings.ToLower(filepath.Ext(name)) {
	case ".txtar":
		return c.scenario(name, text), nil
	case ".json":
		return c.document(name, "", text), nil
	case ".expect":
		return c.expectations(name, text)
	}
	return nil, fmt.Errorf("%s: expected a scenario (.txtar), a document (.json) or an expectation file (.expect)", name)
}

func (c *Checker) scenario(name string, text []byte) []Finding {
	sc, err := script.Parse(name, text)
	if err != nil {
		return findingsOf(name, err)
	}
	var out []Finding
	for _, d := range sc.Documents() {
		out = append(out, c.sent(name, sc, d)...)
	}
	return out
}

// sent checks a document that a scenario sends and expects to be taken: what
// every profile of the scenario refuses is a mistake, and so is a misspelt
// member. Profiles that refuse it while others take it are left to the
// scenario's requirements.
func (c *Checker) sent(name string, sc *script.Scenario, d script.Document) []Finding {
	kind := d.Kind
	if kind == "" {
		kind = hcn.DocumentKind(d.Data)
	}
	if kind == "loadbalancer" && hcn.DocumentKind(d.Data) == "policylist" {
		kind = "policylist"
	}
	var errs []*hcn.Error
	asked, refused := 0, 0
	for _, profile := range c.Profiles {
		p, err := hcn.ProfileByName(profile)
		if err != nil || kind == "" || len(sc.Profiles) > 0 && !slices.Contains(sc.Profiles, profile) {
			continue
		}
		for knob, value := range sc.Knobs {
			_ = p.Knobs.Set(knob, value) // a bad one is script.Parse's finding
		}
		asked++
		if found := hcn.ValidateDocument(kind, d.Data, &p); len(found) > 0 {
			refused++
			errs = found
		}
	}
	if refused < asked {
		errs = nil
	}
	var out []Finding
	for _, e := range append(errs, hcn.Misspelt(kind, d.Data)...) {
		f := finding(name, "", e)
		f.Line = d.Line
		if e.Line > 0 && !d.Made {
			f.Line = d.Line + e.Line - 1
		}
		f.Message = d.File + ": " + f.Message
		out = append(out, f)
	}
	return out
}

// finding is what an error of a document says.
func finding(name, at string, e *hcn.Error) Finding {
	f := Finding{File: name, Line: e.Line, Path: strings.TrimPrefix(at+"."+e.Path, "."), Message: messageOf(e), Found: e.Found, Expected: e.Expected}
	if e.Code != 0 {
		f.Code = e.Code.String()
	}
	return f
}

// Profiles turns names of profiles and numbers of OS builds into names, each
// once, in the order given. A build stands for the first profile that has it.
func Profiles(words []string) ([]string, error) {
	var out []string
	for _, w := range words {
		name := ""
		for _, p := range hcn.ProfileNames() {
			profile := hcn.MustProfile(p)
			if name == "" && (strings.EqualFold(w, p) || w == fmt.Sprint(profile.OSBuild)) {
				name = p
			}
		}
		if name == "" {
			_, err := hcn.ProfileByName(w)
			return nil, err
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no profile is named")
	}
	return out, nil
}

// findingsOf takes joined errors apart and the place out of each.
func findingsOf(file string, err error) []Finding {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out []Finding
		for _, e := range joined.Unwrap() {
			out = append(out, findingsOf(file, e)...)
		}
		return out
	}
	f := Finding{File: file, Message: err.Error()}
	var inScript *script.FileError
	var inExpect *conformance.LineError
	switch {
	case errors.As(err, &inScript):
		f.Line, f.Message = inScript.Line, inScript.Msg
	case errors.As(err, &inExpect):
		f.Line, f.Message = inExpect.Line, inExpect.Msg
	}
	return []Finding{f}
}

// document checks a document against every profile and says who rejects what.
// A list of documents, as PowerShell prints more than one object, is checked
// one by one.
func (c *Checker) document(name, at string, text []byte) []Finding {
	trimmed := bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))
	if bytes.HasPrefix(trimmed, []byte("[")) && at == "" {
		return c.list(name, trimmed)
	}
	kind := hcn.DocumentKind(trimmed)
	if kind == "" {
		f := Finding{File: name, Path: at, Message: "this is no document of HNS that can be told by its members",
			Expected: "a network, endpoint, namespace, load balancer, route, policy list, query or modify request"}
		var syntax *json.SyntaxError
		if err := json.Unmarshal(trimmed, new(any)); errors.As(err, &syntax) {
			f.Message, f.Expected = "not JSON: "+err.Error(), ""
			if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
				f.Message, f.Expected = "the file is UTF-16", "UTF-8: write it with Out-File -Encoding utf8"
			}
			f.Line = 1 + bytes.Count(trimmed[:min(int(syntax.Offset), len(trimmed))], []byte("\n"))
		}
		return []Finding{f}
	}
	var out []Finding
	for _, profile := range c.Profiles {
		p, err := hcn.ProfileByName(profile)
		if err != nil {
			return []Finding{{File: name, Message: err.Error()}}
		}
		for _, e := range hcn.ValidateDocument(kind, trimmed, &p) {
			out = addFinding(out, finding(name, at, e), p.Name)
		}
	}
	c.accept(out)
	for _, e := range hcn.Misspelt(kind, trimmed) {
		out = append(out, finding(name, at, e))
	}
	return out
}

func (c *Checker) list(name string, text []byte) []Finding {
	var items []json.RawMessage
	if err := json.Unmarshal(text, &items); err != nil {
		return []Finding{{File: name, Message: "not JSON: " + err.Error()}}
	}
	var out []Finding
	for i, item := range items {
		for _, f := range c.document(name, fmt.Sprintf("[%d]", i), item) {
			f.Line = 0 // counted from the item's own beginning
			out = append(out, f)
		}
	}
	return out
}

func messageOf(e *hcn.Error) string {
	if e.Detail != "" {
		return e.Detail
	}
	return e.Code.Sentence()
}

// addFinding merges equal findings of several profiles into one.
func addFinding(all []Finding, f Finding, profile string) []Finding {
	for i := range all {
		if all[i].Path == f.Path && all[i].Line == f.Line && all[i].Message == f.Message && all[i].Found == f.Found {
			all[i].Profiles = append(all[i].Profiles, profile)
			return all
		}
	}
	f.Profiles = []string{profile}
	return append(all, f)
}

// accept says for the findings of one document which profiles take it: those
// that have no finding at all.
func (c *Checker) accept(findings []Finding) {
	var accepted []string
	for _, p := range c.Profiles {
		rejects := func(f Finding) bool { return slices.Contains(f.Profiles, p) }
		if !slices.ContainsFunc(findings, rejects) {
			accepted = append(accepted, p)
		}
	}
	for i := range findings {
		findings[i].Accepted = accepted
	}
}

func (c *Checker) expectations(name string, text []byte) ([]Finding, error) {
	suite, err := c.Suite()
	if err != nil {
		return nil, err
	}
	lines, err := conformance.ParseExpectations(name, text)
	var out []Finding
	if err != nil {
		out = findingsOf(name, err)
	}
	for _, e := range lines {
		switch {
		case !slices.ContainsFunc(suite, e.Select.Matches):
			out = append(out, Finding{File: name, Line: e.Line, Message: fmt.Sprintf("%s matches no scenario", e.Select.Text)})
		case e.Expired(c.Now):
			out = append(out, Finding{File: name, Line: e.Line, Message: fmt.Sprintf("expired on %s", e.Until.Format(time.DateOnly))})
		}
	}
	return out, nil
}

// WriteText writes findings for people.
func WriteText(w io.Writer, findings []Finding) {
	for _, f := range findings {
		place := f.File
		if f.Line > 0 {
			place = fmt.Sprintf("%s:%d", f.File, f.Line)
		}
		what := f.Message
		if f.Path != "" && !strings.Contains(what, f.Path) {
			what = f.Path + "  " + what
		}
		fmt.Fprintf(w, "%s  %s\n", place, what)
		for _, line := range []struct{ name, value string }{
			{"found", f.Found}, {"expected", f.Expected}, {"answer", f.Code},
			{"rejected by", strings.Join(f.Profiles, ", ")}, {"accepted by", strings.Join(f.Accepted, ", ")},
		} {
			if line.value != "" {
				fmt.Fprintf(w, "    %-11s %s\n", line.name, line.value)
			}
		}
	}
}
