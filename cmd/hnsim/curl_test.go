package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestTheExamplesOfTheStandinWork executes the curl commands of the stand-in's
// README against hnsim serve and compares what they print.
func TestTheExamplesOfTheStandinWork(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("HNSIM_REQUIRE_TOOLS") == "1" {
			t.Fatal("curl is not installed, and HNSIM_REQUIRE_TOOLS=1")
		}
		t.Skip("curl is not installed")
	}
	raw, err := os.ReadFile("../../sim/standin/README.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := consoleCommands(string(raw))
	if len(commands) < 15 {
		t.Fatalf("%d commands in the README", len(commands))
	}
	t.Chdir(t.TempDir())
	s := startServe(t, "--profile", "ws2025")
	const mark = "@@next@@"
	var script strings.Builder
	for _, c := range commands {
		fmt.Fprintf(&script, "%s\necho '%s'\n", strings.ReplaceAll(c.line, "127.0.0.1:7790", s.addr), mark)
	}
	cmd := exec.Command("sh", "-s")
	cmd.Stdin = strings.NewReader(script.String())
	out, err := cmd.CombinedOutput()
	s.stop().check(t, 0, "", "")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	answers := strings.Split(string(out), mark+"\n")
	if len(answers) != len(commands)+1 {
		t.Fatalf("%d answers to %d commands:\n%s", len(answers)-1, len(commands), out)
	}
	for i, c := range commands {
		if !c.matches(answers[i]) {
			t.Errorf("$ %s\n%s\nthe README says\n%s", c.line, answers[i], c.want)
		}
	}
}

// consoleCommand is a command of a README with the output that it promises.
type consoleCommand struct{ line, want string }

// consoleCommands finds the commands of all console blocks.
func consoleCommands(text string) []consoleCommand {
	var out []consoleCommand
	inside := false
	for _, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console"
		case inside && strings.HasPrefix(line, "$ "):
			out = append(out, consoleCommand{line: line[2:]})
		case inside:
			out[len(out)-1].want += line + "\n"
		}
	}
	return out
}

// matches compares output with what is promised, where "..." stands for
// anything and a line that ends in it may be longer.
func (c *consoleCommand) matches(got string) bool {
	want := strings.ReplaceAll(regexp.QuoteMeta(c.want), `\.\.\.`, `(?s:.*?)`)
	return regexp.MustCompile("^" + want + "$").MatchString(got)
}
