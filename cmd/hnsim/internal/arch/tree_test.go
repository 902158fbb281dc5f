package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/hnsim/hnsim"

// source is one Go file.
type source struct {
	path    string // relative to the root, with slashes
	test    bool
	lines   int
	imports []string // own packages without the module path
	ast     *ast.File
}

// tree is the source of the module: package path -> files.
type tree struct {
	root     string
	packages map[string][]source
	fset     *token.FileSet
}

func loadTree(t *testing.T) *tree {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", "..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatalf("not the root of the module: %v", err)
	}
	tr := &tree{root: root, packages: map[string][]source{}, fset: token.NewFileSet()}
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if skipDir(root, name, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		return tr.add(name)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(tr.packages) < 5 {
		t.Fatalf("only %d packages found below %s", len(tr.packages), root)
	}
	return tr
}

// skipDir leaves out what the go tool leaves out: testdata, hidden folders and
// nested modules.
func skipDir(root, name, base string) bool {
	if name == root {
		return false
	}
	if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(name, "go.mod"))
	return err == nil
}

func (tr *tree) add(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	f, err := parser.ParseFile(tr.fset, name, text, parser.SkipObjectResolution|parser.ParseComments)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(tr.root, name)
	if err != nil {
		return err
	}
	rel = filepath.ToSlash(rel)
	s := source{path: rel, test: strings.HasSuffix(rel, "_test.go"), lines: strings.Count(string(text), "\n"), ast: f}
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		s.imports = append(s.imports, strings.TrimPrefix(p, module+"/"))
	}
	dir := path.Dir(rel)
	tr.packages[dir] = append(tr.packages[dir], s)
	return nil
}

// names are the packages in order.
func (tr *tree) names() []string {
	var out []string
	for p := range tr.packages {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

// chain finds a path of imports from a package to one that matches, through
// files that are not tests: shortest first, nil if there is none.
func (tr *tree) chain(from string, match func(string) bool) []string {
	type node struct {
		pkg  string
		prev *node
	}
	seen := map[string]bool{from: true}
	queue := []*node{{from, nil}}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		if n.pkg != from && match(n.pkg) {
			var out []string
			for ; n != nil; n = n.prev {
				out = append([]string{n.pkg}, out...)
			}
			return out
		}
		for _, f := range tr.packages[n.pkg] {
			if f.test {
				continue
			}
			for _, imp := range f.imports {
				if !seen[imp] && tr.packages[imp] != nil {
					seen[imp] = true
					queue = append(queue, &node{imp, n})
				}
			}
		}
	}
	return nil
}

// matches says whether a package is what a pattern means.
func matches(pattern, pkg string) bool {
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == base || strings.HasPrefix(pkg, base+"/")
	}
	return pkg == pattern
}

func matchesAny(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, pkg) })
}
