package tally

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// Report is the account of a run.
type Report struct {
	Program  []string `json:"program"`
	ExitCode int64    `json:"exitCode"` // as Windows has it, 32 bits
	// Interrupted says that Ctrl-C or SIGTERM ended the program; wine gives one
	// that does not handle it the exit code 0.
	Interrupted bool          `json:"interrupted"`
	Took        time.Duration `json:"tookNs"`
	Host        string        `json:"host"`
	Profile     string        `json:"profile"`
	OSBuild     int           `json:"osBuild"`
	// Network says where the program's interfaces came from, and why.
	Network string `json:"network"`

	Functions []Function `json:"functions"`
	Leaked    []Handle   `json:"leakedHandles"`
	Changes   []Change   `json:"changes"`
	// Unknown is why the changes are not known; "" if they are.
	Unknown string `json:"changesUnknown,omitempty"`
}

// Totals are the numbers of calls and of those that were refused.
func (r *Report) Totals() (calls, refused int) {
	for _, f := range r.Functions {
		calls += f.Calls
		for _, x := range f.Failures {
			refused += x.Count
		}
	}
	return calls, refused
}

// Width is what lines are kept within, as far as names and ids allow.
const width = 80

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) {
	calls, refused := r.Totals()
	fmt.Fprintf(w, "-- %s on %s (%s, build %d), %s\n", base(r.Program), r.Host, r.Profile, r.OSBuild, r.Took.Round(10*time.Millisecond))
	interrupted := ""
	if r.Interrupted {
		interrupted = ", interrupted"
	}
	fmt.Fprintf(w, "exit code: %s%s\n", exitCode(r.ExitCode), interrupted)
	if calls == 0 {
		fmt.Fprintln(w, "calls of HNS: none")
	} else {
		fmt.Fprintf(w, "calls of HNS: %d, %d refused\n", calls, refused)
	}
	for _, f := range r.Functions {
		fmt.Fprintf(w, "  %4d  %s\n", f.Calls, f.Name)
		for _, x := range f.Failures {
			fmt.Fprintf(w, "        %d refused: %s\n", x.Count, x.String())
		}
	}
	if len(r.Leaked) > 0 {
		fmt.Fprintf(w, "handles not closed: %d\n", len(r.Leaked))
		for _, h := range r.Leaked {
			fmt.Fprintf(w, "  %s, from %s\n", h.Of, h.Opener)
		}
	}
	r.writeChanges(w)
}

func (r *Report) writeChanges(w io.Writer) {
	if r.Unknown != "" {
		fmt.Fprintln(w, "objects: changes not known")
		return
	}
	if len(r.Changes) == 0 {
		fmt.Fprintln(w, "objects: no change")
		return
	}
	count := map[string]int{}
	kindWidth, nameWidth := 0, 0
	for _, c := range r.Changes {
		count[c.What]++
		kindWidth = max(kindWidth, len(c.Kind))
		nameWidth = max(nameWidth, utf8.RuneCountInString(c.Name))
	}
	nameWidth = min(nameWidth, width-kindWidth-len("  +   ")-36-2)
	fmt.Fprintf(w, "objects: %d added, %d changed, %d removed\n", count[Added], count[Changed], count[Removed])
	marks := map[string]string{Added: "+", Changed: "~", Removed: "-"}
	for _, c := range r.Changes {
		fmt.Fprintf(w, "  %s %-*s  %-*s  %s\n", marks[c.What], kindWidth, c.Kind, nameWidth, c.Name, c.ID)
		if len(c.Members) > 0 {
			fmt.Fprintf(w, "      %s\n", join(c.Members, width-6))
		}
	}
}

// join lists as many members as fit on a line.
func join(members []string, room int) string {
	text := ""
	for i, m := range members {
		rest := fmt.Sprintf(" and %d more", len(members)-i)
		if i > 0 && len(text)+2+len(m)+len(rest) > room {
			return text + rest
		}
		if i > 0 {
			text += ", "
		}
		text += m
	}
	return text
}

// String is the failure for people.
func (f *Failure) String() string {
	switch {
	case f.Name != "":
		return f.Name + " " + f.HResult
	case f.HResult != "" && f.Text != "":
		return f.HResult + " " + f.Text
	}
	return f.HResult + f.Text
}

func base(program []string) string {
	if len(program) == 0 {
		return ""
	}
	p := program[0]
	return p[strings.LastIndexAny(p, `/\`)+1:]
}

// exitCode is decimal for what programs choose, and the NTSTATUS of what
// happens to them.
func exitCode(code int64) string {
	names := map[int64]string{0xC0000005: "access violation", 0xC000013A: "Ctrl-C", 0xC0000135: "a DLL is missing",
		0xC00000FD: "stack overflow", 0xC0000409: "fast fail"}
	switch {
	case code < 0x10000:
		return fmt.Sprint(code)
	case names[code] != "":
		return fmt.Sprintf("0x%08x (%s)", code, names[code])
	}
	return fmt.Sprintf("0x%08x", code)
}
