package script

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite generated text and golden files; read the difference before you commit it")

func TestReferenceIsCurrent(t *testing.T) {
	const name, begin, end = "../README.md", "<!-- reference -->\n", "<!-- end of reference -->\n"
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(data), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no lines %q and %q", name, begin, end)
	}
	want := head + begin + Reference() + end + tail
	if want == string(data) {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the word table says: run go test ./scenarios/script -run TestReferenceIsCurrent -update", name)
	}
	if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestEveryWordIsDocumented(t *testing.T) {
	for _, w := range wordTable() {
		if w.summary == "" || w.group == "" || w.example == "" || strings.HasSuffix(w.summary, ".") {
			t.Errorf("%s: summary %q, group %q, example %q", w.name, w.summary, w.group, w.example)
		}
		l, err := parseLine(1, w.example)
		if err != nil || l.word != w.name {
			t.Errorf("%s: the example %q is not one: %v", w.name, w.example, err)
		}
		if w.acts && w.checks {
			t.Errorf("%s acts and checks", w.name)
		}
	}
	if len(Words()) != len(wordTable()) {
		t.Error("Words leaves some out")
	}
}
