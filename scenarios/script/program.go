package script

// program is the parsed script of a scenario.
type program struct {
	variant *Variant // the one to run; nil before Expand
}
