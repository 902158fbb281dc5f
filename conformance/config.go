package conformance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/scenarios/script"
	"github.com/hnsim/hnsim/sim/hcn"
)

// Config says what to run on what. Only Backend is needed; the zero value of
// everything else runs the whole embedded suite with seed 0 on the backend's
// default profile.
type Config struct {
	Backend backends.Backend
	// BackendName is what the command line calls it, for the line that
	// reproduces a result; empty: the backend's own name.
	BackendName string

	Selectors []string // see Selector; none selects all
	Files     []string // scenario files or folders of the user; see LoadFiles
	Labels    string   // Ginkgo label filter: "conf:docs && !slow"
	Skip      []string // selectors of what to leave out
	Shard     Shard

	Seed        uint64
	Profile     string            // build profile; empty: the backend's default
	Knobs       map[string]string // over those of the scenarios
	NoFlowCache bool
	TimeScale   int      // really wait, for one part in so many; 0: as the backend likes it. See backends.WorldConfig
	Programs    []string // folders in which exec lines find programs

	Expect []string // expectation files

	Parallel         int           // workers of Run; 0: one per CPU
	Timeout          time.Duration // per scenario, wall clock; 0: DefaultTimeout, or WaitingTimeout
	StopOnFail       bool          // nothing runs after the first unexpected result
	CheckDeterminism bool          // run everything twice and compare event hashes
	CheckFlowTable   bool          // run everything with flow tables on and off and compare all that was seen
	Keep             bool          // keep artefacts of all scenarios, and leave worlds standing
	Update           bool          // rewrite golden text in Files
	Onward           bool          // go on behind lines that fail; see script.Options

	// Out is the folder for artefacts (trace, capture) of scenarios that are
	// not as expected. Empty: none are written.
	Out string

	// Info goes into the report's header: Version, Git and the like. What
	// Config knows better is filled in.
	Info reports.RunInfo
	// Now is the wall clock, for durations and expiry; nil: time.Now.
	Now func() time.Time

	specs []*Spec  // instead of the embedded suite, for tests
	exec  executor // instead of script.Run, for tests
}

// executor runs one scenario.
type executor func(context.Context, *script.Scenario, backends.Backend, script.Options) *script.Result

// DefaultTimeout of one scenario: far beyond what any takes on virtual time.
// WaitingTimeout is that of backends that really wait.
const (
	DefaultTimeout = 60 * time.Second
	WaitingTimeout = 3 * time.Minute
)

// waiting is how many scenarios share a CPU on a backend without virtual time:
// most of the time it waits.
const waiting = 4

// UsageError is a configuration that makes no sense: unknown selector, bad
// expectation file, unknown profile. Nothing was run.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// NewRunner checks the configuration and selects. Errors are *UsageError.
func NewRunner(cfg Config) (*Runner, error) {
	r, err := newRunner(cfg)
	if err != nil {
		return nil, &UsageError{err}
	}
	return r, nil
}

func newRunner(cfg Config) (*Runner, error) {
	if cfg.Backend == nil {
		return nil, errors.New("no backend")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Parallel <= 0 {
		cfg.Parallel = workers(cfg.Backend)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
		if !slices.Contains(cfg.Backend.Capabilities(), backends.VirtualTime) {
			cfg.Timeout = WaitingTimeout
		}
	}
	if err := checkTimeScale(&cfg); err != nil {
		return nil, err
	}
	if cfg.exec == nil {
		cfg.exec = script.Run
	}
	if err := checkProfile(&cfg); err != nil {
		return nil, err
	}
	features, err := cfg.Backend.Features(cfg.Profile)
	if err != nil {
		return nil, err
	}
	r := &Runner{cfg: cfg}
	if err := r.load(); err != nil {
		return nil, err
	}
	picked, err := pick(r.catalogue, cfg.Selectors, cfg.Labels, cfg.Skip)
	if err != nil {
		return nil, err
	}
	for _, s := range picked {
		if cfg.Shard.Has(s.ID) {
			r.specs = append(r.specs, s)
		}
	}
	r.info = r.describe(features)
	if err := r.loadExpectations(); err != nil {
		return nil, err
	}
	return r, nil
}

// workers is how many scenarios a backend runs at a time unless told otherwise.
func workers(b backends.Backend) int {
	n := runtime.GOMAXPROCS(0)
	if b != nil && !slices.Contains(b.Capabilities(), backends.VirtualTime) {
		n *= waiting
	}
	return n
}

// checkProfile fills in the profile's name and tries the knobs on it, so that
// a misspelt one is one error and not one per scenario.
func checkProfile(cfg *Config) error {
	p, err := hcn.ProfileByName(cfg.Profile)
	if err != nil {
		return err
	}
	cfg.Profile = p.Name
	if len(cfg.Knobs) > 0 && !slices.Contains(cfg.Backend.Capabilities(), backends.Knobs) {
		return fmt.Errorf("backend %s cannot set knobs", cfg.Backend.Name())
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Knobs)) {
		if err := p.Knobs.Set(name, cfg.Knobs[name]); err != nil {
			return err
		}
	}
	return nil
}

// checkTimeScale refuses a factor where timers are what they are.
func checkTimeScale(cfg *Config) error {
	if cfg.TimeScale < 0 {
		return fmt.Errorf("the time scale is %d: expected a positive number, or 0", cfg.TimeScale)
	}
	if _, ok := cfg.Backend.(backends.TimeScaler); !ok && cfg.TimeScale > 0 {
		return fmt.Errorf("backend %s cannot scale time: its timers are not ours to set", cfg.Backend.Name())
	}
	return nil
}

// load finds the catalogue. Files alone mean these and nothing else.
func (r *Runner) load() error {
	suite := func() ([]*Spec, error) { return r.cfg.specs, nil }
	if r.cfg.specs == nil {
		suite = Suite
	}
	var err error
	r.catalogue, err = catalogue(suite, r.cfg.Files, len(r.cfg.Files) == 0 || len(r.cfg.Selectors) > 0)
	return err
}

// catalogue is the suite, if it is wanted, and the files.
func catalogue(suite func() ([]*Spec, error), names []string, wanted bool) ([]*Spec, error) {
	files, err := LoadFiles(names)
	if err != nil || !wanted {
		return files, err
	}
	all, err := suite()
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if i := slices.IndexFunc(files, func(f *Spec) bool { return f.ID == s.ID }); i >= 0 {
			return nil, fmt.Errorf("%s: scenario id %s is taken by the suite (%s)", files[i].File, s.ID, s.File)
		}
	}
	return append(slices.Clone(all), files...), nil
}

// Catalogue lists the scenarios that selectors and a label filter pick from
// the suite, and those in files, without a backend. Errors are *UsageError.
func Catalogue(selectors, files []string, labels string) ([]*Spec, error) {
	all, err := catalogue(Suite, files, len(files) == 0 || len(selectors) > 0)
	if err == nil {
		all, err = pick(all, selectors, labels, nil)
	}
	if err != nil {
		return nil, &UsageError{err}
	}
	return all, nil
}

// pick applies selectors, labels and skips. Files that were named stay, as if
// a selector had picked them.
func pick(all []*Spec, selectors []string, labels string, skip []string) ([]*Spec, error) {
	picked := all
	if len(selectors) > 0 {
		bySelector, err := Select(all, selectors)
		if err != nil {
			return nil, err
		}
		picked = slices.DeleteFunc(slices.Clone(all), func(s *Spec) bool {
			return !s.External && !slices.Contains(bySelector, s)
		})
	}
	match, err := labelFilter(labels)
	if err != nil {
		return nil, err
	}
	var skipped []*Spec
	if len(skip) > 0 {
		if skipped, err = Select(all, skip); err != nil {
			return nil, fmt.Errorf("--skip: %w", err)
		}
	}
	out := slices.DeleteFunc(slices.Clone(picked), func(s *Spec) bool {
		return !match(s.Labels) || slices.Contains(skipped, s)
	})
	if len(out) == 0 {
		return nil, fmt.Errorf("nothing is left of %d selected scenarios after labels %q and %d skips", len(picked), labels, len(skip))
	}
	return out, nil
}

// labelFilter compiles a label filter in Ginkgo's language, so that the same
// words work with `ginkgo --label-filter`.
func labelFilter(text string) (func([]string) bool, error) {
	filter, err := types.ParseLabelFilter(text)
	if err != nil {
		why := ""
		var syntax types.GinkgoError
		if errors.As(err, &syntax) {
			why = ": " + syntax.Heading
		}
		return nil, fmt.Errorf("label filter %q cannot be read%s; expected something like \"area:nat && !slow\"", text, why)
	}
	return filter, nil
}

func (r *Runner) describe(f backends.FeatureSet) reports.RunInfo {
	c := &r.cfg
	info := c.Info
	if info.Tool == "" {
		info.Tool = "hnsim"
	}
	info.GoVersion, info.OS, info.Arch = runtime.Version(), runtime.GOOS, runtime.GOARCH
	info.Backend, info.Profile = c.Backend.Name(), c.Profile
	info.HNSVersion, info.OSBuild = f.HNSVersion, f.OSBuild
	info.Seed, info.Shard, info.Knobs, info.NoFlowCache = c.Seed, c.Shard.String(), c.Knobs, c.NoFlowCache
	info.TimeScale = c.TimeScale
	info.Selectors, info.Labels, info.Skip = append(slices.Clone(c.Selectors), c.Files...), c.Labels, c.Skip
	info.Parallel, info.Selected, info.Catalogue = c.Parallel, len(r.specs), len(r.catalogue)
	return info
}

// loadExpectations reads the files and checks every line against the whole
// catalogue: a line that matches no scenario here, or whose date is over, is
// an error whatever was selected. Lines about comparisons are not for runs.
func (r *Runner) loadExpectations() error {
	lines, files, err := readExpectations(r.cfg.Expect)
	if err != nil {
		return err
	}
	r.info.Expectations = files
	env := r.env()
	lines = slices.DeleteFunc(lines, func(e *Expectation) bool { return e.Kind == ExpectDiffer || !e.Holds(env) })
	if r.expect, err = resolve(lines, r.catalogue, r.cfg.Now()); err != nil {
		return err
	}
	if d, ok := r.cfg.Backend.(backends.Deviator); ok {
		return r.addDeviations(d, env)
	}
	return nil
}

// addDeviations adds what the backend itself declares, for scenarios that no
// file of the user speaks of. A line that matches none of them is no error:
// the user may run other scenarios, or know better.
func (r *Runner) addDeviations(d backends.Deviator, env Env) error {
	lines, file, err := declared(d)
	if err != nil || file.Path == "" {
		return err
	}
	r.info.Expectations = append(r.info.Expectations, file)
	for _, s := range r.catalogue {
		at := slices.IndexFunc(lines, func(e *Expectation) bool {
			return e.Kind != ExpectDiffer && e.Holds(env) && e.Select.Matches(s)
		})
		if at >= 0 && r.expect[s] == nil {
			r.expect[s] = lines[at]
		}
	}
	return nil
}

// declared reads what a backend says of itself.
func declared(d backends.Deviator) ([]*Expectation, reports.ExpectFile, error) {
	name, text := d.Deviations()
	lines, err := ParseExpectations(name, text)
	for _, e := range lines {
		e.declared = true
	}
	sum := sha256.Sum256(text)
	return lines, reports.ExpectFile{Path: name, SHA256: hex.EncodeToString(sum[:])}, err
}

// env is what the conditions of expectations are about.
func (r *Runner) env() Env {
	backend := r.info.Backend
	if p, ok := r.cfg.Backend.(backends.Player); ok {
		backend = p.Plays()
	}
	return Env{Backend: backend, Profile: r.info.Profile, HNSVersion: r.info.HNSVersion, OSBuild: r.info.OSBuild, Now: r.cfg.Now()}
}

// readExpectations reads all lines of the files, and says which files these
// were.
func readExpectations(names []string) (lines []*Expectation, files []reports.ExpectFile, err error) {
	var errs []error
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, nil, err
		}
		more, err := ParseExpectations(filepath.ToSlash(name), text)
		if err != nil {
			errs = append(errs, err)
		}
		lines = append(lines, more...)
		sum := sha256.Sum256(text)
		files = append(files, reports.ExpectFile{Path: filepath.ToSlash(name), SHA256: hex.EncodeToString(sum[:])})
	}
	return lines, files, errors.Join(errs...)
}

// resolve finds the line that applies to each spec. All lines hold.
func resolve(active []*Expectation, specs []*Spec, now time.Time) (map[*Spec]*Expectation, error) {
	used := map[*Expectation]bool{}
	out := map[*Spec]*Expectation{}
	for _, s := range specs {
		for _, e := range active {
			if e.Select.Matches(s) {
				out[s], used[e] = e, true
				break
			}
		}
	}
	var errs []error
	for _, e := range active {
		switch {
		case !used[e]:
			errs = append(errs, &LineError{e.File, e.Line, fmt.Sprintf("%s %s is unused: no scenario matches, or earlier lines take all that do; remove it", e.Kind, e.Select.Text)})
		case e.Expired(now):
			errs = append(errs, &LineError{e.File, e.Line, fmt.Sprintf("%s %s expired on %s: mend it or decide anew (%s)", e.Kind, e.Select.Text, e.Until.Format(time.DateOnly), e.Why())})
		}
	}
	return out, errors.Join(errs...)
}
