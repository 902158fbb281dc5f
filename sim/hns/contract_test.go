package hns

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/scenarios/contract"
)

// tableRows are the body rows of the first table of a section of the
// control-plane contract.
func tableRows(t *testing.T, section string) [][]string {
	t.Helper()
	text, err := os.ReadFile("../../scenarios/contract/controlplane.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(text), "\n### "+section+" ")
	if !ok {
		t.Fatalf("the contract has no section %s", section)
	}
	var rows [][]string
	for _, line := range strings.Split(part, "\n")[1:] {
		if !strings.HasPrefix(line, "|") {
			if len(rows) > 0 {
				break
			}
			continue
		}
		var cells []string
		for _, c := range strings.Split(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(c))
		}
		rows = append(rows, cells)
	}
	return rows[2:]
}

// elsewhere are rules whose test is no case of a table with the rule's id.
var elsewhere = map[string]string{
	"A1":  wineTest + ": status codes come back whole",
	"A3":  wineTest + ": every result is freed with CoTaskMemFree",
	"A4":  wineTest + ": the error text is NULL on success, and its pointer may be NULL",
	"A5a": wineTest + ": megabytes in both directions",
	"A6":  "sim/standin: frames carry GUIDs in the layout of Windows",
	"A9":  "hcsshim's business; sim/hcntest does the same",
	"A11": "sim/standin: the module definitions export every function",
	"A22": "hcsshim's business; sim/hcntest does the same",
	"A.4": wineTest,
	"E.1": suite, "E.2": suite, "E.3": suite, "E.4": suite, "E.5": suite, "E.6": suite, "E.7": suite, "E.8": suite,
	"D.3-49": wineTest + ": each function without its out pointer",
	"A.1":    "its rules", "B.1": "its rules", "A.6": "its rules",
}

const (
	wineTest = "sim/standin/winetest, under wine"
	suite    = "make hcsshim-suite"
)

// TestEveryRuleOfTheContractHasACase looks for the ids of the rules in the
// texts of the tests of the control plane: names of cases and messages begin
// with them.
func TestEveryRuleOfTheContractHasACase(t *testing.T) {
	cited := map[string]bool{}
	for _, dir := range []string{".", "../hcn", "../standin", "../hcntest"} {
		citations(t, dir, cited)
	}
	rules := 0
	for _, r := range contract.Rules() {
		if r.File != "controlplane.md" {
			continue
		}
		rules++
		switch why := elsewhere[r.ID]; {
		case why == "" && !cited[r.ID]:
			t.Errorf("no test cites %s: %.80s", r.ID, r.Statement)
		case why != "" && cited[r.ID]:
			t.Errorf("%s is cited; elsewhere says %q", r.ID, why)
		}
	}
	if rules < 100 {
		t.Errorf("the contract has %d rules", rules)
	}
}

// citations collects the words of every text in the tests of a folder.
func citations(t *testing.T, dir string, into map[string]bool) {
	t.Helper()
	files, err := filepath.Glob(dir + "/*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no tests, %v", dir, err)
	}
	for _, name := range files {
		if filepath.Base(name) == "contract_test.go" {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				text, _ := strconv.Unquote(lit.Value)
				for _, w := range contract.ExpandRefs(text) {
					into[w] = true
				}
			}
			return true
		})
	}
}
