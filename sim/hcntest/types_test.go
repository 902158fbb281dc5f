package hcntest

import (
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// parse reads the Go files of a folder, tests and generated ones left out.
func parse(t *testing.T, dir string) (*token.FileSet, []*ast.File) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Skipf("sources are incomplete: %v", err)
	}
	set := token.NewFileSet()
	var files []*ast.File
	for _, e := range entries {
		n := e.Name()
		if !strings.HasSuffix(n, ".go") || strings.HasSuffix(n, "_test.go") || strings.HasPrefix(n, "z") {
			continue
		}
		f, err := parser.ParseFile(set, filepath.Join(dir, n), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return set, files
}

// declared prints every exported struct, named type and constant of hcn's
// documents, without comments: "HostComputeRoute" -> "struct { ID string ... }".
func declared(set *token.FileSet, files []*ast.File) (types, consts map[string]string) {
	types, consts = map[string]string{}, map[string]string{}
	text := func(n any) string {
		var b strings.Builder
		_ = printer.Fprint(&b, set, n)
		return strings.Join(strings.Fields(b.String()), " ")
	}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch d := n.(type) {
			case *ast.FuncDecl:
				return false
			case *ast.TypeSpec:
				if !d.Name.IsExported() {
					return false
				}
				if st, ok := d.Type.(*ast.StructType); ok {
					types[d.Name.Name] = structText(st, text)
				} else {
					types[d.Name.Name] = text(d.Type)
				}
				return false
			case *ast.ValueSpec:
				for i, name := range d.Names {
					if name.IsExported() && i < len(d.Values) {
						if lit, ok := d.Values[i].(*ast.BasicLit); ok {
							consts[name.Name] = text(d.Type) + " " + lit.Value
						}
					}
				}
			}
			return true
		})
	}
	return types, consts
}

// structText is one field a line: name, type and JSON tag.
func structText(st *ast.StructType, text func(any) string) string {
	var b strings.Builder
	for _, f := range st.Fields.List {
		tag := ""
		if f.Tag != nil {
			tag = f.Tag.Value
		}
		names := []string{"(embedded)"}
		if len(f.Names) > 0 {
			names = nil
			for _, n := range f.Names {
				names = append(names, n.Name)
			}
		}
		for _, n := range names {
			b.WriteString(n + " " + text(f.Type) + " " + tag + "\n")
		}
	}
	return b.String()
}

// differ are types that are not as in hcsshim, with the reason.
var differ = map[string]string{
	"VmEndpointRequest": "ids are text: go-winio's GUID builds for Windows only",
	"HcnError":          "its fields can be read here; hcsshim's embeds an internal type",
	"ErrorCode":         "is an error here",
	"VersionRange":      "not part of a document",
	"VersionRanges":     "not part of a document",
}

func TestTypesAndConstantsAreThoseOfHcsshim(t *testing.T) {
	const module = "github.com/Microsoft/hcsshim"
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		t.Skipf("%s is not in the module cache (go mod download %s): types not compared; %v", module, module, err)
	}
	theirSet, theirFiles := parse(t, filepath.Join(dir, "hcn"))
	ourSet, ourFiles := parse(t, ".")
	theirTypes, theirConsts := declared(theirSet, theirFiles)
	ourTypes, ourConsts := declared(ourSet, ourFiles)
	if len(theirTypes) < 70 || len(theirConsts) < 60 {
		t.Fatalf("hcsshim has %d types and %d constants: is this its source?", len(theirTypes), len(theirConsts))
	}
	for name, want := range theirTypes {
		if got := ourTypes[name]; got != want && differ[name] == "" {
			t.Errorf("type %s:\n got %s\nwant %s", name, got, want)
		}
	}
	for name, want := range theirConsts {
		if got := ourConsts[name]; got != want && differ[name] == "" {
			t.Errorf("%s is %q, in hcsshim %q", name, got, want)
		}
	}
}

func TestThePackageNeedsTheStandardLibraryAlone(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Skipf("go list: %v", err)
	}
	for _, p := range strings.Fields(string(out)) {
		if !strings.HasPrefix(p, "github.com/hnsim/hnsim/sim/") && p != "github.com/hnsim/hnsim/sim" {
			t.Errorf("whoever imports this package gets %s", p)
		}
	}
}

// TestTheInterfaceShowsNothingOfTheModel keeps the package usable from other
// modules: no exported declaration may name a type of another package of the
// model, which can change at any time.
func TestTheInterfaceShowsNothingOfTheModel(t *testing.T) {
	set, files := parse(t, ".")
	for _, f := range files {
		model := map[string]bool{}
		for _, imp := range f.Imports {
			path := strings.Trim(imp.Path.Value, `"`)
			if strings.Contains(path, "hnsim/sim") {
				model[path[strings.LastIndex(path, "/")+1:]] = true
			}
		}
		for _, d := range f.Decls {
			for _, use := range exportedUses(d) {
				if model[use.X.(*ast.Ident).Name] {
					t.Errorf("%s: %s.%s is part of the interface", set.Position(use.Pos()), use.X, use.Sel)
				}
			}
		}
	}
}

// exportedUses are the qualified names in what a declaration exports.
func exportedUses(d ast.Decl) []*ast.SelectorExpr {
	var out []*ast.SelectorExpr
	collect := func(n ast.Node) {
		ast.Inspect(n, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if _, ok := s.X.(*ast.Ident); ok {
					out = append(out, s)
				}
			}
			return true
		})
	}
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && (d.Recv == nil || exportedReceiver(d.Recv)) {
			collect(d.Type)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			ts, ok := s.(*ast.TypeSpec)
			if !ok || !ts.Name.IsExported() {
				continue
			}
			st, ok := ts.Type.(*ast.StructType)
			if !ok {
				collect(ts.Type)
				continue
			}
			for _, f := range st.Fields.List {
				if len(f.Names) == 0 || slices.ContainsFunc(f.Names, (*ast.Ident).IsExported) {
					collect(f.Type)
				}
			}
		}
	}
	return out
}

func exportedReceiver(recv *ast.FieldList) bool {
	t := recv.List[0].Type
	if p, ok := t.(*ast.StarExpr); ok {
		t = p.X
	}
	id, ok := t.(*ast.Ident)
	return ok && id.IsExported()
}
