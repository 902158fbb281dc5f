package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

const kinds = "kinds/kinds.go"

// mutateKinds is a mutation of testdata/kinds.txtar.
func mutateKinds(name, was, is string) Mutation { return Mutation{name, "X-01", kinds, was, is} }

// mkModule writes the module of testdata/kinds.txtar.
func mkModule(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	a, err := txtar.ParseFile("testdata/kinds.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range a.Files {
		to := filepath.Join(root, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// One build does what a build for each mutation would: every line changes what
// its mutation changes, and nothing else.
func TestASharedBuildHoldsMutationsOfAllKinds(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the builds have the name of a program of Unix")
	}
	tests := []struct {
		Mutation
		shared bool
		want   string
	}{
		{mutateKinds("a/recursion", "1 + plain", "2 + plain"), true, "12 4 3 6 box 1 5 a-b unnamed 3 10"},
		{mutateKinds("a/same-function", "	return 1 +", "	return 3 +"), true, "13 6 3 6 box 1 5 a-b unnamed 3 10"},
		{mutateKinds("a/pointer", "b.n += d", "b.n -= d"), true, "11 2 -1 -2 box 1 5 a-b unnamed 3 10"},
		{mutateKinds("a/value", "return 2 * b.n", "b.n++; return 2 * b.n"), true, "11 2 3 8 box 1 5 a-b unnamed 3 10"},
		{mutateKinds("a/no-receiver-and-unused-import", `strings.ToLower("BOX")`, `"lid"`), true, "11 2 3 6 lid 1 5 a-b unnamed 3 10"},
		{mutateKinds("a/generic-receiver", "append(l.items, x)", "append(l.items, x, x)"), true, "11 2 3 6 box 2 5 a-b unnamed 3 10"},
		{mutateKinds("a/generic", "return s[0]", "return s[1]"), true, "11 2 3 6 box 1 6 a-b unnamed 3 10"},
		{mutateKinds("a/variadic", "strings.Join(words, sep)", "strings.Join(words[1:], sep)"), true, "11 2 3 6 box 1 5 b unnamed 3 10"},
		{mutateKinds("a/unnamed", `return "unnamed"`, `return "named"`), true, "11 2 3 6 box 1 5 a-b named 3 10"},
		{mutateKinds("a/blank", "sum++", "sum += 5"), true, "11 2 3 6 box 1 5 a-b unnamed 7 10"},
		{mutateKinds("a/two-functions", "b.n += d }\n\nfunc (b Box) Twice() int { return 2", "b.n = d }\n\nfunc (b Box) Twice() int { return 3"), true, "11 2 2 6 box 1 5 a-b unnamed 3 10"},
		{mutateKinds("a/does-not-compile", "	sum = b\n", "	unused := b\n"), false, ""},
		{mutateKinds("a/init", "early += 10", "early += 20"), false, "21 2 3 6 box 1 5 a-b unnamed 3 10"},
		{mutateKinds("a/constant", "Limit = 10", "Limit = 20"), false, "11 2 3 6 box 1 5 a-b unnamed 3 20"},
	}
	b := newBuilds(mkModule(t), t.TempDir())
	if err := b.mustBeGreen(); err != nil {
		t.Fatal(err)
	}
	var all []Mutation
	for _, tt := range tests {
		all = append(all, tt.Mutation)
	}
	if err := b.share(all); err != nil {
		t.Fatal(err)
	}
	if got := say(t, model{bin: b.together}); got != "11 2 3 6 box 1 5 a-b unnamed 3 10" {
		t.Errorf("no mutation: %s", got)
	}
	for _, tt := range tests {
		if b.shared[tt.Name] != tt.shared {
			t.Errorf("%s: shared %v, want %v", tt.Name, !tt.shared, tt.shared)
			continue
		}
		m, err := b.broken(filepath.Join(t.TempDir()), tt.Mutation)
		switch {
		case tt.want == "":
			if err == nil || !strings.Contains(err.Error(), "declared and not used") {
				t.Errorf("%s: %v, want the compiler's error", tt.Name, err)
			}
		case err != nil:
			t.Error(err)
		default:
			if got := say(t, m); got != tt.want {
				t.Errorf("%s: %s, want %s", tt.Name, got, tt.want)
			}
		}
	}
}

func say(t *testing.T, m model) string {
	t.Helper()
	out, err := m.command(context.Background(), []string{"say"}).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestWhatCannotShareABuild(t *testing.T) {
	tests := []Mutation{
		mutateKinds("signature", "unnamed(int, string) string {", "unnamed(int, any) string {"),
		mutateKinds("variable", "early = plain(1)", "early = plain(2)"),
		mutateKinds("type", "struct{ n int }", "struct{ n, m int }"),
		mutateKinds("import", "	\"strings\"\n", "	\"strings\"\n	_ \"os\"\n"),
		mutateKinds("another-function", "func init() {", "func more() {}\n\nfunc init() {"),
		mutateKinds("a-comment", "// before any init", "// after any init"),
		mutateKinds("package", "package kinds", "package sorts"),
		mutateKinds("no-Go", "early += 10 }", "early += "),
	}
	b := newSwitchboard(mkModule(t))
	for _, m := range tests {
		if ok, err := b.add(m); ok || err != nil {
			t.Errorf("%s: %v, %v; want false", m.Name, ok, err)
		}
	}
	if s := b.sources[kinds]; s.String() != s.text {
		t.Errorf("something was changed:\n%s", s)
	}
	if ok, err := b.add(mutateKinds("gone", "no such text", "")); ok || err == nil {
		t.Errorf("a text that is not there: %v, %v", ok, err)
	}
}

// The model's mutations nearly all share a build, which is what makes trying
// them quick.
func TestMostMutationsShareABuild(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	b := newSwitchboard(root)
	var alone []string
	for _, m := range slices.Concat(mutations, planted) {
		if ok, err := b.add(m); err != nil {
			t.Error(err)
		} else if !ok {
			alone = append(alone, m.Name)
		}
	}
	t.Logf("alone: %q", alone)
	if len(alone) > len(mutations)/10 {
		t.Errorf("%d mutations need builds of their own: %q", len(alone), alone)
	}
}

// A shared build that is not the model says nothing about mutations.
func TestASharedBuildMustBeTheModelWhenNoMutationIsChosen(t *testing.T) {
	says := func(hash string) string {
		return mkProgram(t, `echo '{"eventHash":"`+hash+`","results":[]}'`)
	}
	for _, tt := range []struct {
		is, shared, want string
	}{
		{"17", "17", ""},
		{"17", "71", "not the unbroken model"},
		{"", "", "not the unbroken model"},
	} {
		b := &builds{dir: t.TempDir(), unbroken: model{bin: says(tt.is)}, together: says(tt.shared)}
		if err := b.mustAgree(); (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q and %q: %v, want %q", tt.is, tt.shared, err, tt.want)
		}
	}
}
