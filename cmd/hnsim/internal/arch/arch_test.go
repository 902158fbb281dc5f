package arch

import (
	"go/ast"
	"path"
	"slices"
	"strings"
	"testing"
)

func TestImportsRunDownwards(t *testing.T) {
	tr := loadTree(t)
	for _, e := range edges {
		for _, pkg := range tr.names() {
			if matches(e.from, pkg) {
				for _, v := range violations(tr, e, pkg) {
					t.Errorf("%s must not import %s: %s\n\tfound: %s", pkg, e.to, e.why, v)
				}
			}
		}
	}
}

// violations finds the breaches of one edge by one package: chains of imports
// for its code, direct imports for its tests.
func violations(tr *tree, e edge, pkg string) []string {
	bad := func(p string) bool { return matches(e.to, p) && !matchesAny(e.except, p) && p != pkg }
	var out []string
	if chain := tr.chain(pkg, bad); chain != nil {
		out = append(out, strings.Join(chain, " -> "))
	}
	for _, f := range tr.packages[pkg] {
		if !f.test || !e.tests {
			continue
		}
		for _, imp := range f.imports {
			if bad(imp) {
				out = append(out, f.path+" -> "+imp)
			}
		}
	}
	return out
}

func TestOutsideModulesStayInTheirHome(t *testing.T) {
	tr := loadTree(t)
	for _, pkg := range tr.names() {
		for _, f := range tr.packages[pkg] {
			for _, imp := range f.imports {
				for _, h := range homes {
					if imp != h.module && !strings.HasPrefix(imp, h.module+"/") {
						continue
					}
					if !matchesAny(h.in, pkg) && !(f.test && h.tests) {
						t.Errorf("%s imports %s, which belongs to %s: %s", f.path, imp, strings.Join(h.in, ", "), h.why)
					}
				}
			}
		}
	}
}

func TestThePacketPathHasNoClockLockLogOrGoroutine(t *testing.T) {
	tr := loadTree(t)
	for _, pkg := range tr.names() {
		inPath := matchesAny(packetPath, pkg)
		if !inPath && !matchesAny(noClock, pkg) {
			continue
		}
		for _, f := range tr.packages[pkg] {
			if f.test {
				continue
			}
			if inPath {
				for _, imp := range f.imports {
					if why, bad := notInPacketPath[imp]; bad {
						t.Errorf("%s imports %s: %s", f.path, imp, why)
					}
				}
			}
			for _, what := range impure(f.ast) {
				t.Errorf("%s: %s: time and concurrency come from outside", f.path, what)
			}
		}
	}
}

// impure finds uses of the wall clock and go statements.
func impure(file *ast.File) []string {
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			out = append(out, "starts a goroutine")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clocks, n.Sel.Name) {
				out = append(out, "uses time."+n.Sel.Name)
			}
		}
		return true
	})
	return out
}

func TestFilesStayReadable(t *testing.T) {
	tr := loadTree(t)
	for _, pkg := range tr.names() {
		for _, f := range tr.packages[pkg] {
			if f.lines > maxFileLines && !generated(f.ast) {
				t.Errorf("%s has %d lines, at most %d", f.path, f.lines, maxFileLines)
			}
		}
	}
}

func generated(f *ast.File) bool { return ast.IsGenerated(f) }

func TestEveryPackageSaysWhatItKnows(t *testing.T) {
	tr := loadTree(t)
	for _, pkg := range tr.names() {
		i := slices.IndexFunc(tr.packages[pkg], func(f source) bool { return path.Base(f.path) == "doc.go" })
		if i < 0 {
			t.Errorf("%s has no doc.go", pkg)
			continue
		}
		if doc := tr.packages[pkg][i].ast.Doc; doc == nil || len(doc.Text()) < 80 {
			t.Errorf("%s/doc.go does not say what the package knows and must not know", pkg)
		}
	}
}

func TestNoPackageIsCalledUtils(t *testing.T) {
	for _, pkg := range loadTree(t).names() {
		switch path.Base(pkg) {
		case "utils", "util", "common", "helpers", "models", "misc":
			t.Errorf("%s: a package is one noun", pkg)
		}
	}
}

// The checks themselves must be able to fail.
func TestTheChecksFindWhatTheyLookFor(t *testing.T) {
	tr := &tree{packages: map[string][]source{
		"sim/vfp":     {{path: "sim/vfp/a.go", imports: []string{"sim/wire"}}},
		"sim/wire":    {{path: "sim/wire/a.go", imports: []string{"sim/middle"}}},
		"sim/middle":  {{path: "sim/middle/a.go", imports: []string{"reports"}}},
		"reports":     {{path: "reports/a.go"}, {path: "reports/a_test.go", test: true, imports: []string{"cmd/hnsim"}}},
		"cmd/hnsim":   {{path: "cmd/hnsim/main.go"}},
		"conformance": {{path: "conformance/a.go"}},
	}}
	tests := []struct {
		name string
		edge edge
		pkg  string
		want int
	}{
		{"an edge through two others", edge{from: "sim/...", to: "reports"}, "sim/vfp", 1},
		{"the direct edge", edge{from: "sim/...", to: "reports"}, "sim/middle", 1},
		{"a test's import when tests count", edge{from: "reports", to: "cmd/...", tests: true}, "reports", 1},
		{"a test's import when they do not", edge{from: "reports", to: "cmd/..."}, "reports", 0},
		{"an excepted target", edge{from: "sim/vfp", to: "sim/...", except: []string{"sim/wire", "sim/middle"}}, "sim/vfp", 0},
		{"a target behind an excepted one", edge{from: "sim/vfp", to: "sim/...", except: []string{"sim/wire"}}, "sim/vfp", 1},
		{"no edge", edge{from: "conformance", to: "reports"}, "conformance", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := violations(tr, tt.edge, tt.pkg); len(got) != tt.want {
				t.Errorf("found %v, want %d", got, tt.want)
			}
		})
	}
}
