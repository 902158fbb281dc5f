package script

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The messages of bad files are part of the product: they are compared word by
// word. Each file has its messages beside it.
func TestBadFilesAreExplained(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil || len(files) < 15 {
		t.Fatal(len(files), err)
	}
	for _, name := range files {
		base := strings.TrimSuffix(filepath.Base(name), ".txtar")
		t.Run(base, func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			sc, err := Parse("bad/"+base+".txtar", data)
			if err == nil || sc != nil {
				t.Fatal("the file is accepted")
			}
			got := err.Error() + "\n"
			golden := strings.TrimSuffix(name, ".txtar") + ".want"
			want, err := os.ReadFile(golden)
			if *update {
				err = os.WriteFile(golden, []byte(got), 0o644)
				want = []byte(got)
			}
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}
