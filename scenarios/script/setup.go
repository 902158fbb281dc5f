package script

import (
	"bytes"
	"slices"

	"golang.org/x/tools/txtar"
)

// ReachFile is a file of a scenario that no line uses: what is expected of the
// reachability table of its world (package conformance/reach).
const ReachFile = "reach.csv"

// settingUp are the words, besides those of whole groups, that make a world
// and neither send into it nor look at it.
var settingUp = []string{"set", "advance", "listen", "bind", "adopt", "exec", "env", "physical", "mux", "sdn"}

// SetUpEnd is the line at which a scenario begins to send or to look: what
// stands before it makes the world. 0 means that no line does.
func (s *Scenario) SetUpEnd() int {
	for _, l := range s.program.lines {
		w := findWord(l.word)
		if w == nil {
			continue
		}
		switch w.group {
		case "Topology", "Control plane", "Containers", "Conditions", "Tenant networks":
			continue
		}
		if !slices.Contains(settingUp, w.name) {
			return l.n
		}
	}
	return 0
}

// Reach is the scenario's ReachFile, nil without one.
func (s *Scenario) Reach() []byte {
	for _, f := range txtar.Parse(s.Source).Files {
		if f.Name == ReachFile {
			return bytes.Clone(f.Data)
		}
	}
	return nil
}
