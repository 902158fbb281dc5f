package fuzz

import (
	"fmt"
	"strings"

	"golang.org/x/tools/txtar"

	"github.com/hnsim/hnsim/scenarios/script"
)

// Step is the unit that is kept or left out as a whole: lines of a scenario
// and the files that they use.
type Step struct {
	Lines []string
	Files []txtar.File
	// Fixed steps stay: without hosts there is no world.
	Fixed bool
}

// Case is a world and what happens in it.
type Case struct {
	Seed  uint64
	Knobs []string // name=value
	Steps []Step
}

// WorldSeed is the seed of the world that a case runs in. It is that of
// "hnsim run", so that the file of a finding needs no flag.
const WorldSeed = 1

// Text is the case as a scenario file. why, if any, goes into the title.
func (c *Case) Text(why string) []byte {
	if why == "" {
		why = "a random world is the same with the flow tables on and off"
	}
	a := &txtar.Archive{}
	var b strings.Builder
	fmt.Fprintf(&b, "# FUZZ-%d: %s\n# rules: VFP-12\n# labels: vfp\n# checks: %s\n", c.Seed, why, script.FlowTableCheck)
	if len(c.Knobs) > 0 {
		fmt.Fprintf(&b, "# knobs: %s\n", strings.Join(c.Knobs, " "))
	}
	b.WriteString("\n")
	for i := range c.Steps {
		for _, l := range c.Steps[i].Lines {
			b.WriteString(l + "\n")
		}
		a.Files = append(a.Files, c.Steps[i].Files...)
	}
	a.Comment = []byte(b.String())
	return txtar.Format(a)
}

// with is the case with other steps.
func (c *Case) with(steps []Step) *Case {
	d := *c
	d.Steps = steps
	return &d
}
