package hcn

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// update rewrites the expected messages. Read the difference before you keep
// it: every line is what a user sees.
var update = flag.Bool("update", false, "rewrite testdata/bad/messages.txt")

// badDocument is a file of testdata/bad: "kind.name.json", or
// "kind@profile.name.json" for another profile than ws2022.
type badDocument struct {
	file, kind, profile string
	text                []byte
}

func badDocuments(t *testing.T) []badDocument {
	t.Helper()
	files, err := filepath.Glob("testdata/bad/*.json")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d bad documents, %v", len(files), err)
	}
	var out []badDocument
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(f)
		head, _, _ := strings.Cut(name, ".")
		kind, profile, _ := strings.Cut(head, "@")
		if profile == "" {
			profile = WS2022
		}
		out = append(out, badDocument{strings.TrimSuffix(name, ".json"), kind, profile, text})
	}
	return out
}

func TestEveryBadDocumentIsRefusedWithAMessageThatNamesThePlace(t *testing.T) {
	var got strings.Builder
	for _, d := range badDocuments(t) {
		p := MustProfile(d.profile)
		errs := ValidateDocument(d.kind, d.text, &p)
		if len(errs) == 0 {
			t.Errorf("%s is accepted", d.file)
			continue
		}
		for _, e := range errs {
			fmt.Fprintf(&got, "%s: %s\n", d.file, e)
			if e.Path == "" && e.Line == 0 {
				t.Errorf("%s: the message names no place: %s", d.file, e)
			}
		}
	}
	golden := filepath.Join("testdata", "bad", "messages.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	wantLines, gotLines := strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")
	for i := 0; i < max(len(wantLines), len(gotLines)); i++ {
		w, g := lineAt(wantLines, i), lineAt(gotLines, i)
		if w != g {
			t.Fatalf("%s:%d (go test -update rewrites it):\nwant %s\n got %s", golden, i+1, w, g)
		}
	}
}

func lineAt(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(no line)"
}
