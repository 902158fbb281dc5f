package explain

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hnsim/hnsim/conformance"
	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/scenarios/contract"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/vfp"
)

// Entry explains one thing.
type Entry struct {
	Kind   string  `json:"kind"` // scenario, rule, drop, error, knob, feature, profile
	Name   string  `json:"name"`
	Text   string  `json:"text"`
	Fields []Field `json:"fields,omitempty"`
	// Body is text that keeps its lines: the script of a scenario.
	Body string `json:"body,omitempty"`
}

// Field is a named fact.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Book is everything that can be explained.
type Book struct{ specs []*conformance.Spec }

// NewBook makes a book of the scenarios and the lists of the model.
func NewBook(specs []*conformance.Spec) *Book { return &Book{specs} }

// Kinds are the words that may stand before a name to say what is meant.
func Kinds() []string {
	return []string{"scenario", "rule", "drop", "error", "knob", "feature", "profile"}
}

// UnknownError is a name that nothing has.
type UnknownError struct{ Kind, Name, Suggestion string }

func (e *UnknownError) Error() string {
	what := "scenario, rule, drop reason, error code, knob, feature or profile"
	if e.Kind != "" {
		what = e.Kind
	}
	msg := fmt.Sprintf("no %s %q", what, e.Name)
	if e.Suggestion != "" {
		msg += "; did you mean " + e.Suggestion + "?"
	}
	return msg
}

// Find returns what has the name, in the order of Kinds; several things may
// share one. kind limits the search; empty means all.
func (b *Book) Find(kind, name string) ([]Entry, error) {
	finders := []struct {
		kind string
		find func(string) []Entry
	}{
		{"scenario", b.scenario}, {"rule", b.rule}, {"drop", b.drop}, {"error", b.code},
		{"knob", b.knob}, {"feature", b.feature}, {"profile", b.profile},
	}
	var out []Entry
	for _, f := range finders {
		if kind == "" || kind == f.kind {
			out = append(out, f.find(name)...)
		}
	}
	if len(out) == 0 {
		return nil, &UnknownError{kind, name, conformance.Suggest(name, b.Names(kind))}
	}
	return out, nil
}

// Names lists the names of a kind, or all of them.
func (b *Book) Names(kind string) []string {
	var out []string
	add := func(k string, names ...string) {
		if kind == "" || kind == k {
			out = append(out, names...)
		}
	}
	for _, s := range b.specs {
		add("scenario", s.Base)
	}
	for _, r := range contract.Rules() {
		add("rule", r.ID)
	}
	for _, d := range vfp.Drops() {
		add("drop", d.Name)
	}
	for _, c := range hcn.Codes() {
		add("error", c.Name)
	}
	for _, k := range knobs() {
		add("knob", k.Name)
	}
	for _, f := range hcn.Features() {
		add("feature", f.Name)
	}
	add("profile", hcn.ProfileNames()...)
	return slices.Compact(out)
}

func (b *Book) scenario(name string) []Entry {
	for _, s := range b.specs {
		if !strings.EqualFold(s.Base, name) && !strings.EqualFold(s.ID, name) && s.Path != name {
			continue
		}
		sc := s.Script()
		e := Entry{Kind: "scenario", Name: s.Base, Text: s.Title}
		e.add("requirement", s.Requirement)
		e.add("file", s.File)
		e.add("path", s.Path)
		e.add("labels", strings.Join(s.Labels, " "))
		e.add("requires", strings.Join(s.Requires, ", "))
		e.add("profiles", strings.Join(s.Profiles, ", "))
		e.add("variants", strings.Join(b.variants(s.Base), "\n"))
		for _, id := range s.Rules {
			if r, ok := contract.Lookup(id); ok {
				e.add("rule "+r.ID, plain(r.Statement)+" ["+strings.Join(r.Confidence, ", ")+"]")
			} else {
				e.add("rule "+id, "not in the contract")
			}
		}
		if sc != nil {
			e.Body, _, _ = strings.Cut(string(sc.Source), "\n-- ")
		}
		return []Entry{e}
	}
	if p, ok := contract.LookupScenario(name); ok {
		e := Entry{Kind: "scenario", Name: p.ID, Text: "proposed by the contract; the suite does not have it"}
		e.add("topology", plain(p.Topology))
		e.add("stimulus", plain(p.Stimulus))
		e.add("expected", plain(p.Expected))
		e.add("rules", strings.Join(p.Rules, " "))
		return []Entry{e}
	}
	return nil
}

func (b *Book) variants(base string) []string {
	var out []string
	for _, s := range b.specs {
		if s.Base == base && s.ID != base {
			out = append(out, s.ID)
		}
	}
	return out
}

func (b *Book) rule(name string) []Entry {
	r, ok := contract.Lookup(name)
	if !ok {
		return nil
	}
	e := Entry{Kind: "rule", Name: r.ID, Text: plain(r.Statement)}
	for _, c := range r.Confidence {
		e.add("confidence", c+": "+contract.ConfidenceMeaning(c))
	}
	e.add("source", plain(r.Source))
	e.add("where", fmt.Sprintf("scenarios/contract/%s:%d, section %s", r.File, r.Line, r.Section))
	e.add("scenarios", b.citing(r.ID))
	if m, ok := contract.LookupMark(r.ID); ok {
		e.add(m.Kind, plain(m.Reason))
		e.add("tests", strings.Join(m.Tests, "\n"))
	}
	return []Entry{e}
}

// citing lists the scenarios that check a rule.
func (b *Book) citing(rule string) string {
	var ids []string
	for _, s := range b.specs {
		for _, id := range s.Rules {
			if r, ok := contract.Lookup(id); ok && r.ID == rule {
				ids = append(ids, s.Base)
			}
		}
	}
	ids = slices.Compact(ids)
	if len(ids) == 0 {
		return "none"
	}
	return strings.Join(ids, " ")
}

func (b *Book) drop(name string) []Entry {
	for _, d := range vfp.Drops() {
		if !strings.EqualFold(d.Name, name) {
			continue
		}
		e := Entry{Kind: "drop", Name: d.Name, Text: d.Doc}
		e.add("rules", strings.Join(d.Rules, " "))
		e.add("scenarios", b.mentioning(d.Name))
		return []Entry{e}
	}
	return nil
}

// mentioning lists the scenarios whose script has a word.
func (b *Book) mentioning(word string) string {
	var ids []string
	for _, s := range b.specs {
		if sc := s.Script(); sc != nil && slices.Contains(strings.Fields(string(sc.Source)), word) {
			ids = append(ids, s.Base)
		}
	}
	ids = slices.Compact(ids)
	if len(ids) == 0 {
		return "none"
	}
	return strings.Join(ids, " ")
}

func (b *Book) code(name string) []Entry {
	code, err := hcn.ParseCode(name)
	if err != nil {
		return nil
	}
	info, ok := code.Info()
	if !ok {
		return nil
	}
	e := Entry{Kind: "error", Name: info.Name, Text: info.Sentence}
	e.add("HRESULT", code.Hex())
	var when []string
	for _, r := range contract.Rules() {
		if r.Section == conditions && mentionsCode(r.Statement, code) {
			when = append(when, r.ID+": "+plain(r.Statement))
		}
	}
	e.add("when", strings.Join(when, "\n"))
	e.add("scenarios", b.mentioning(info.Name))
	return []Entry{e}
}

// conditions is the section of the contract that says when HNS answers what.
const conditions = "D.3"

// mentionsCode looks for a code by number, as the contract writes them.
func mentionsCode(text string, code hcn.Code) bool {
	words := strings.FieldsFunc(text, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEFx", r) })
	return slices.ContainsFunc(words, func(w string) bool {
		if !strings.HasPrefix(w, "0x") {
			return false
		}
		c, err := hcn.ParseCode(w)
		return err == nil && c == code
	})
}

// profileKnob is the appendix's first knob: the choice of all the others.
const profileKnob = "profile"

// knobs lists everything that the contract calls a knob: the profile, those
// with a value of their own, and the names for several.
func knobs() []hcn.KnobInfo {
	profile := hcn.KnobInfo{Name: profileKnob, Type: "choice", Allowed: hcn.ProfileNames(),
		Doc: "the build of Windows whose service and data plane are modelled: the defaults of all other knobs", Defaults: map[string]string{}}
	return slices.Concat([]hcn.KnobInfo{profile}, hcn.KnobList(), hcn.CombinedKnobs())
}

// Knob is a knob in a list, with its default in every profile.
type Knob struct {
	Name     string            `json:"name"`
	Type     string            `json:"type"`
	Allowed  []string          `json:"allowed"`
	Rules    string            `json:"rules"`
	Text     string            `json:"text"`
	Defaults map[string]string `json:"defaults"` // by profile
}

// Knobs lists all knobs in the order of the documentation.
func Knobs() []Knob {
	var out []Knob
	for _, k := range knobs() {
		out = append(out, Knob{k.Name, k.Type, append([]string{}, k.Allowed...), k.Rules, k.Doc, k.Defaults})
	}
	return out
}

func (b *Book) knob(name string) []Entry {
	for _, k := range knobs() {
		if !strings.EqualFold(k.Name, name) {
			continue
		}
		e := Entry{Kind: "knob", Name: k.Name, Text: k.Doc}
		e.add("type", k.Type)
		e.add("allowed", strings.Join(k.Allowed, ", "))
		for _, p := range hcn.ProfileNames() {
			e.add(p, k.Defaults[p])
		}
		e.add("rules", k.Rules)
		e.add("set", howToSet(k.Name))
		e.add("scenarios", b.turning(k.Name))
		return []Entry{e}
	}
	return nil
}

func howToSet(knob string) string {
	if knob == profileKnob {
		return "hnsim run --profile NAME, or a profiles line in a scenario"
	}
	return fmt.Sprintf("hnsim run --knob %s=VALUE, or a knobs line in a scenario", knob)
}

// turning lists the scenarios that set a knob.
func (b *Book) turning(knob string) string {
	var ids []string
	for _, s := range b.specs {
		sc := s.Script()
		if sc == nil {
			continue
		}
		for name := range sc.Knobs {
			if strings.EqualFold(name, knob) {
				ids = append(ids, s.Base)
			}
		}
	}
	return strings.Join(slices.Compact(ids), " ")
}

func (b *Book) feature(name string) []Entry {
	f, ok := hcn.FindFeature(name)
	if !ok {
		return nil
	}
	e := Entry{Kind: "feature", Name: f.Name, Text: f.Doc}
	e.add("HNS versions", f.RangeText())
	for _, name := range hcn.ProfileNames() {
		p := hcn.MustProfile(name)
		has := "no"
		if f.Supports(p.Version) {
			has = "yes"
		}
		e.add(name, fmt.Sprintf("%s (HNS %s)", has, p.Version))
	}
	var ids []string
	for _, s := range b.specs {
		if slices.ContainsFunc(s.Requires, func(r string) bool { return strings.Contains(r, f.Name) }) {
			ids = append(ids, s.Base)
		}
	}
	e.add("needed by", strings.Join(slices.Compact(ids), " "))
	return []Entry{e}
}

func (b *Book) profile(name string) []Entry {
	if !slices.ContainsFunc(hcn.ProfileNames(), func(n string) bool { return strings.EqualFold(n, name) }) {
		return nil
	}
	p := hcn.MustProfile(name)
	e := Entry{Kind: "profile", Name: p.Name, Text: p.Doc}
	e.add("build", fmt.Sprint(p.OSBuild))
	e.add("HNS version", p.Version.String())
	var has, lacks []string
	for _, f := range hcn.Features() {
		if f.Supports(p.Version) {
			has = append(has, f.Name)
		} else {
			lacks = append(lacks, f.Name)
		}
	}
	e.add("features", strings.Join(has, " "))
	e.add("without", strings.Join(lacks, " "))
	for _, k := range hcn.KnobList() {
		e.add("knob "+k.Name, k.Defaults[p.Name])
	}
	return []Entry{e}
}

func (e *Entry) add(name, value string) {
	if value != "" {
		e.Fields = append(e.Fields, Field{name, value})
	}
}

// plain takes the Markdown out of a sentence.
func plain(s string) string {
	return strings.NewReplacer("**", "", "`", "", `\|`, "|").Replace(s)
}

// WriteText writes entries for people, wrapped to width.
func WriteText(w io.Writer, entries []Entry, width int) {
	for i, e := range entries {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s  %s\n", e.Kind, e.Name)
		for _, line := range reports.Wrap(e.Text, width-2) {
			fmt.Fprintf(w, "  %s\n", line)
		}
		column := 0
		for _, f := range e.Fields {
			column = max(column, min(len(f.Name), 32))
		}
		for _, f := range e.Fields {
			name := f.Name
			for _, part := range strings.Split(f.Value, "\n") {
				for _, line := range reports.Wrap(part, max(30, width-column-4)) {
					fmt.Fprintf(w, "  %-*s  %s\n", column, name, line)
					name = ""
				}
			}
		}
		if e.Body != "" {
			fmt.Fprintf(w, "\n%s\n", strings.TrimRight(e.Body, "\n"))
		}
	}
}
