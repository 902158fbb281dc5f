package check

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/bad.txt; inspect the diff and commit it only if every message is clear")

// TestBadFilesAreRefusedWithAClearMessage checks a folder of bad files, each
// wrong in one way. testdata/bad.txt is what a user sees; it is reviewed text.
func TestBadFilesAreRefusedWithAClearMessage(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d bad files, %v", len(files), err)
	}
	golden, err := filepath.Abs("testdata/bad.txt")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir("testdata/bad") // so that messages do not depend on this folder
	c := mkChecker("ws2019", "ws2022", "ws2025", "strict-rfc")
	var got strings.Builder
	for _, f := range files {
		found, err := c.File(filepath.Base(f))
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		if len(found) == 0 {
			t.Errorf("%s: nothing is found", f)
		}
		for _, x := range found {
			if x.Line == 0 && x.Path == "" && !strings.HasPrefix(filepath.Base(f), "unknown") {
				t.Errorf("%s: no place: %+v", f, x)
			}
		}
		WriteText(&got, found)
	}
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("testdata/bad.txt differs; got:\n%s", got.String())
	}
}
