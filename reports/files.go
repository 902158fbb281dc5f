package reports

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Names of the files of a run in its output directory.
const (
	LogFile      = "results.ndjson"
	JUnitFile    = "junit.xml"
	SummaryFile  = "summary.json"
	MarkdownFile = "summary.md"
)

// WriteFiles writes all derived formats into dir and returns their names. Each
// file appears whole or not at all.
func WriteFiles(dir string, r *Report) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	var names []string
	for _, f := range []struct {
		name  string
		write func(io.Writer, *Report) error
	}{
		{JUnitFile, WriteJUnit},
		{SummaryFile, WriteSummary},
		{MarkdownFile, func(w io.Writer, r *Report) error { return WriteMarkdown(w, r, 0) }},
	} {
		var b bytes.Buffer
		if err := f.write(&b, r); err != nil {
			return names, err
		}
		if err := writeWhole(filepath.Join(dir, f.name), b.Bytes()); err != nil {
			return names, fmt.Errorf("report: %w", err)
		}
		names = append(names, f.name)
	}
	return names, nil
}

// writeWhole replaces a file in one step: a reader sees the old or the new one.
func writeWhole(name string, data []byte) error {
	tmp := name + ".tmp"
	if err := os.WriteFile(tmp, data, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, name)
}
