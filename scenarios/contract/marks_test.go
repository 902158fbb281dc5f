package contract

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTestsThatMarksNameExist(t *testing.T) {
	root := filepath.Join("..", "..")
	for _, m := range Marks() {
		for _, test := range m.Tests {
			pkg, name, _ := strings.Cut(test, " ")
			if !hasTest(t, filepath.Join(root, filepath.FromSlash(pkg)), name) {
				t.Errorf("marks.md:%d: %s is checked by %s, which does not exist", m.Line, m.Rule.ID, test)
			}
		}
	}
	if hasTest(t, ".", "TestThatNobody"+"Wrote") {
		t.Error("a test that does not exist is found")
	}
}

// hasTest looks for a test function in the test files of a folder.
func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nfunc "+name+"(") {
			return true
		}
	}
	return false
}

func TestMarksAreChecked(t *testing.T) {
	const head = "| Marked | Mark | Why | Checked by |\n|---|---|---|---|\n"
	const why = "it says how long somebody waited, and nothing about what arrived"
	tests := []struct{ name, rows, want string }{
		{"one of each", "| NAT-13 | elsewhere | " + why + " | `sim/hcn TestA`, sim/wire FuzzB |\n| nat-14 | unobservable | " + why + " | - |", ""},
		{"another table", "| x |", ""},
		{"an unknown rule", "| NAT-99 | unobservable | " + why + " | - |", `marks.md:3: "NAT-99" is no rule of the contract`},
		{"an unknown mark", "| NAT-13 | skip | " + why + " | - |", `mark "skip" of NAT-13: expected elsewhere or unobservable`},
		{"no reason", "| NAT-13 | unobservable | cannot be tested | - |", `reason "cannot be tested" of NAT-13`},
		{"no tests", "| NAT-13 | elsewhere | " + why + " | - |", "marked elsewhere with 0 tests"},
		{"tests of nothing", "| NAT-13 | unobservable | " + why + " | sim/hcn TestA |", "marked unobservable with 1 tests"},
		{"no test's name", "| NAT-13 | elsewhere | " + why + " | somewhere |", `test "somewhere" of NAT-13: expected a package and a test`},
		{"twice", "| NAT-13 | unobservable | " + why + " | - |\n| nat-13 | unobservable | " + why + " | - |", "marks.md:4: NAT-13 is marked in line 3 already"},
		{"a cell too few", "| NAT-13 | unobservable | " + why + " |", "marks.md:3: 3 cells, expected 4"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := head + tt.rows
			if tt.name == "another table" {
				text = "| Rule |\n|---|\n" + tt.rows
			}
			got, err := parseMarks(text, Lookup)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error is %v, want %s", err, tt.want)
			case tt.name == "one of each" && (len(got) != 2 || len(got[0].Tests) != 2 || got[1].Rule.ID != "NAT-14"):
				t.Errorf("marks are %+v", got)
			}
		})
	}
}

func FuzzParseMarks(f *testing.F) {
	f.Add(marksText)
	f.Add("| Marked | Mark | Why | Checked by |\n|---|---|---|---|\n| NAT-13 | elsewhere | x | a TestB |")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseMarks(text, Lookup)
		if err != nil {
			return
		}
		for _, m := range got {
			if m.Rule == nil || m.Reason == "" || m.Line < 1 || (m.Kind == MarkElsewhere) != (len(m.Tests) > 0) {
				t.Fatalf("bad mark %+v", m)
			}
		}
	})
}
