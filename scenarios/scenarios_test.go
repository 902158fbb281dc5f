package scenarios

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/hnsim/hnsim/scenarios/contract"
	"github.com/hnsim/hnsim/scenarios/script"
)

func TestTheSuiteIsSound(t *testing.T) {
	all, err := Load(Embedded())
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]bool{}
	for _, l := range script.Labels() {
		labels[l.Name] = true
	}
	for _, sc := range all {
		if !labels[sc.Area] {
			t.Errorf("%s: the folder %q is no area: areas are labels too", sc.File, sc.Area)
		}
		if len(sc.Labels) == 0 {
			t.Errorf("%s has no label", sc.File)
		}
		p, ok := contract.LookupScenario(sc.ID)
		if !ok {
			continue
		}
		for _, rule := range p.Rules {
			if !slices.Contains(sc.Rules, rule) {
				t.Errorf("%s: the contract says that %s checks %s; the rules line does not", sc.File, sc.ID, rule)
			}
		}
	}
}

const small = "# %ID: a title\n# rules: %RULES labels: %LABELS\n\nhost h1 ip=10.0.0.1/24\nexpect none h1\n"

func mkFile(id, rules, labels string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(strings.NewReplacer("%ID", id, "%RULES", rules, "%LABELS", labels).Replace(small))}
}

func mkSuite(t *testing.T) []*script.Scenario {
	t.Helper()
	all, err := Load(fstest.MapFS{
		"nat/idle.txtar":          mkFile("S-NAT-05", "3.3 NAT-13", "nat core"),
		"nat/exhaustion.txtar":    mkFile("S-NAT-17", "NAT-39", "nat slow"),
		"overlay/mtu.txtar":       mkFile("S-OV-14", "OV-18 B-32", "overlay core slow"),
		"overlay/deep/acl.txtar":  mkFile("X-1", "ACL-05", "acl"),
		"nat/README.md":           {Data: []byte("no scenario")},
		"nat/testdata/bad.txtar":  {Data: []byte("bad")},
		".hidden/bad.txtar":       {Data: []byte("bad")},
		"script/testdata/x.txtar": {Data: []byte("bad")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func ids(list []*script.Scenario) string {
	var out []string
	for _, sc := range list {
		out = append(out, sc.ID)
	}
	return strings.Join(out, " ")
}

func TestScenariosAreLoadedInOrderOfTheirIds(t *testing.T) {
	if got := ids(mkSuite(t)); got != "S-NAT-05 S-NAT-17 S-OV-14 X-1" {
		t.Error(got)
	}
}

func TestBadAndDoubleScenariosAreReportedTogether(t *testing.T) {
	all, err := Load(fstest.MapFS{
		"a/one.txtar":   mkFile("S-NAT-05", "3.3", "nat"),
		"b/two.txtar":   mkFile("S-NAT-05", "3.3", "nat"),
		"c/three.txtar": {Data: []byte("# T-1: x\n# rules: NAT-10\nhots h1\n")},
		"c/four.txtar":  {Data: []byte("nothing\n")},
	})
	if err == nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	for _, want := range []string{"b/two.txtar: id S-NAT-05 is that of a/one.txtar already", "c/three.txtar:3: unknown word", "c/four.txtar:1: the file begins with"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
}

func TestAFileSystemThatFailsIsAnError(t *testing.T) {
	if _, err := Load(brokenFS{}); !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
}

type brokenFS struct{}

func (brokenFS) Open(string) (fs.File, error) { return nil, fs.ErrPermission }

func TestSelectorsPickScenarios(t *testing.T) {
	all := mkSuite(t)
	tests := []struct{ selectors, want string }{
		{"", "S-NAT-05 S-NAT-17 S-OV-14 X-1"},
		{"S-NAT-05", "S-NAT-05"},
		{"s-nat-05", "S-NAT-05"},
		{"S-NAT-*", "S-NAT-05 S-NAT-17"},
		{"X-1 S-NAT-05", "S-NAT-05 X-1"},
		{"nat", "S-NAT-05 S-NAT-17"},
		{"nat/", "S-NAT-05 S-NAT-17"},
		{"nat/idle", "S-NAT-05"},
		{"nat/idle.txtar", "S-NAT-05"},
		{"./nat/idle.txtar", "S-NAT-05"},
		{"nat/**", "S-NAT-05 S-NAT-17"},
		{"overlay/*", "S-OV-14"},
		{"overlay/**", "S-OV-14 X-1"},
		{"*/id?e", "S-NAT-05"},
		{"NAT-13", "S-NAT-05"},
		{"3.3", "S-NAT-05"},
		{"rule:B-*", "S-OV-14"},
		{"rule:nat-*", "S-NAT-05 S-NAT-17"},
		{"label:core", "S-NAT-05 S-OV-14"},
		{"label:core&!slow", "S-NAT-05"},
		{"label:acl|nat&slow", "S-NAT-17 X-1"},
		{"deep", "X-1"},
	}
	for _, test := range tests {
		got, err := Select(all, strings.Fields(test.selectors))
		if err != nil || ids(got) != test.want {
			t.Errorf("%s: %s %v", test.selectors, ids(got), err)
		}
	}
}

func TestASelectorThatMatchesNothingSuggestsAnother(t *testing.T) {
	all := mkSuite(t)
	tests := []struct{ selector, suggestion string }{
		{"S-NAT-06", "S-NAT-05"},
		{"nat/idel", "nat/idle"},
		{"ovrelay", "overlay"},
		{"NAT-11", "NAT-13"}, // a rule that exists but that nothing cites
		{"label:coer", "label:core"},
		{"label:core&slwo", "label:slow"},
		{"completely-different", ""},
		{"", "acl"},
		{"nat/*/x", ""},
	}
	for _, test := range tests {
		_, err := Select(all, []string{"nat", test.selector})
		var none *NoMatchError
		if !errors.As(err, &none) || none.Selector != test.selector {
			t.Errorf("%s: %v", test.selector, err)
			continue
		}
		if none.Suggestion != test.suggestion && test.selector != "" {
			t.Errorf("%s: suggests %q, want %q", test.selector, none.Suggestion, test.suggestion)
		}
		if !strings.Contains(err.Error(), "matches no scenario") {
			t.Error(err)
		}
	}
}

func FuzzSelect(f *testing.F) {
	for _, s := range []string{"nat/**", "label:core&!slow|x", "rule:*", "S-NAT-01", "****", "?"} {
		f.Add(s)
	}
	all, err := Load(fstest.MapFS{"nat/idle.txtar": mkFile("S-NAT-05", "3.3", "nat core")})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, selector string) {
		got, err := Select(all, []string{selector})
		if (len(got) == 0) != (err != nil) {
			t.Fatalf("%q: %d scenarios, error %v", selector, len(got), err)
		}
	})
}
