package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// maxRefusals bounds how many calls are shown of a case that failed.
const maxRefusals = 10

// refusals says which calls of the process HNS refused, for a case that
// failed: they are its likely reason.
func (p *process) refusals() string {
	raw, err := os.ReadFile(filepath.Join(p.dir, callsFile))
	if err != nil {
		return ""
	}
	return refused(raw)
}

// refused reads the record of hnsim exec --calls.
func refused(record []byte) string {
	var lines []string
	for line := range bytes.Lines(record) {
		var c struct {
			Function string `json:"fn"`
			Args     []string
			HResult  string `json:"hr"`
			Result   string
			Error    string
		}
		if json.Unmarshal(line, &c) != nil {
			continue // cut off when the process was killed
		}
		var envelope struct{ Success *bool }
		_ = json.Unmarshal([]byte(c.Result), &envelope)
		if c.HResult == "0x00000000" && (envelope.Success == nil || *envelope.Success) {
			continue
		}
		lines = append(lines, fmt.Sprintf("refused: %s %s\n  %s %s%s\n", c.Function, strings.Join(c.Args, " "), c.HResult, c.Error, c.Result))
	}
	if n := len(lines) - maxRefusals; n > 0 {
		lines = append([]string{fmt.Sprintf("(%d more refused calls before these)\n", n)}, lines[n:]...)
	}
	return strings.Join(lines, "")
}
