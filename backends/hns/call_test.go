package hns

import (
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCallLayer compares the functions that are bound by name with hcsshim's
// sources: the linker checks that they are there, not what they take.
func TestCallLayer(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/Microsoft/hcsshim").Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		t.Skipf("hcsshim is not in the module cache (go mod download github.com/Microsoft/hcsshim): %v", err)
	}
	sources, err := filepath.Glob(filepath.Join(dir, "hcn", "*.go"))
	if err != nil || len(sources) == 0 {
		t.Skipf("hcsshim's sources are incomplete: %v", err)
	}
	theirs := map[string]string{}
	for _, file := range sources {
		for name, s := range signatures(t, file) {
			theirs[name] = s
		}
	}
	ours := signatures(t, "call_windows.go")
	if len(ours) < 40 {
		t.Fatalf("%d functions are bound: %v", len(ours), ours)
	}
	for name, s := range ours {
		if name == "hnsCall" {
			name = "_hnsCall"
		}
		if theirs[name] != s {
			t.Errorf("%s is bound as %s, hcsshim's is %q", name, s, theirs[name])
		}
	}
}

// same are types that differ by name alone.
var same = strings.NewReplacer(
	"hcsshim.", "", "guid.GUID", "GUID", "_guid", "GUID",
	"hcnNetwork", "H", "hcnEndpoint", "H", "hcnNamespace", "H", "hcnLoadBalancer", "H", "hcnRoute", "H", "syscall.Handle", "H",
)

// signatures are the types of parameters and results of a file's functions.
func signatures(t *testing.T, file string) map[string]string {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	list := func(fields *ast.FieldList) string {
		var types []string
		for _, p := range fields.List {
			var b strings.Builder
			if err := printer.Fprint(&b, fset, p.Type); err != nil {
				t.Fatal(err)
			}
			for range max(1, len(p.Names)) {
				types = append(types, same.Replace(b.String()))
			}
		}
		return strings.Join(types, ", ")
	}
	out := map[string]string{}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Type.Results != nil {
			out[fn.Name.Name] = "(" + list(fn.Type.Params) + ") (" + list(fn.Type.Results) + ")"
		}
	}
	return out
}
