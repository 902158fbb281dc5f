package sim

import (
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
)

// A knob that nothing reads promises a choice that there is not.
func TestEveryKnobIsRead(t *testing.T) {
	var source strings.Builder
	err := fs.WalkDir(os.DirFS("."), ".", func(path string, d fs.DirEntry, err error) error {
		knobs := strings.HasPrefix(path, "hcn/knobs") || strings.HasSuffix(path, "_test.go")
		if err != nil || d.IsDir() || knobs || !strings.HasSuffix(path, ".go") {
			return err
		}
		b, err := os.ReadFile(path)
		source.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	fields := reflect.TypeFor[hcn.Knobs]()
	for i := range fields.NumField() {
		name := fields.Field(i).Name
		read := regexp.MustCompile(`\.` + name + `\b`).MatchString(source.String())
		if !read {
			t.Errorf("nothing reads knob %s", name)
		}
	}
}

func TestAFullFlowTableDropsWhereTheKnobSaysSo(t *testing.T) {
	for _, value := range []string{"slow", "drop"} {
		l := newLab(t, Config{Knobs: map[string]string{"uftFull": value}})
		l.network(l.h1, bridgeNet)
		if got := l.h1.Program().Switches[0].Config.DropWhenFull; got != (value == "drop") {
			t.Errorf("uftFull=%s: the switch drops %v", value, got)
		}
	}
}
