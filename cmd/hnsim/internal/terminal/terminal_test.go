package terminal

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func envOf(pairs ...string) func(string) string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return m[name] }
}

func TestColourFollowsFlagThenEnvironmentThenTerminal(t *testing.T) {
	tests := []struct {
		name string
		mode ColorMode
		tty  bool
		env  []string
		want bool
	}{
		{"a terminal gets colour", Auto, true, nil, true},
		{"a pipe gets none", Auto, false, nil, false},
		{"NO_COLOR switches it off", Auto, true, []string{"NO_COLOR", "1"}, false},
		{"an empty NO_COLOR says nothing", Auto, true, []string{"NO_COLOR", ""}, true},
		{"a dumb terminal gets none", Auto, true, []string{"TERM", "dumb"}, false},
		{"CLICOLOR_FORCE colours a pipe", Auto, false, []string{"CLICOLOR_FORCE", "1"}, true},
		{"CLICOLOR_FORCE=0 forces nothing", Auto, false, []string{"CLICOLOR_FORCE", "0"}, false},
		{"NO_COLOR beats CLICOLOR_FORCE", Auto, true, []string{"NO_COLOR", "1", "CLICOLOR_FORCE", "1"}, false},
		{"--color=always beats NO_COLOR", Always, false, []string{"NO_COLOR", "1"}, true},
		{"--color=never beats CLICOLOR_FORCE", Never, true, []string{"CLICOLOR_FORCE", "1"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Colored(tt.mode, tt.tty, envOf(tt.env...)); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestAPipeIsEightyColumnsWide(t *testing.T) {
	s := NewStream(&bytes.Buffer{}, envOf("COLUMNS", "200"))
	if s.TTY || s.Width != 80 || s.Color {
		t.Errorf("%+v", s)
	}
}

func TestProgressOnAPipeIsPlainLinesEveryTenSeconds(t *testing.T) {
	var b bytes.Buffer
	at := time.Unix(0, 0)
	p := NewProgress(Stream{Writer: &b, Width: 80}, 100, false, func() time.Time { return at })
	for i := range 100 {
		at = at.Add(time.Second)
		p.Step(i == 3)
	}
	p.Clear()
	p.Finish()
	if n := strings.Count(b.String(), "\n"); n < 8 || n > 10 {
		t.Errorf("%d lines in 100 s:\n%s", n, b.String())
	}
	if strings.ContainsAny(b.String(), "\r\x1b") {
		t.Errorf("not plain: %q", b.String())
	}
	if !strings.HasPrefix(b.String(), "[11/100] 1 failed\n") {
		t.Errorf("%q", b.String())
	}
}

func TestProgressOnATerminalIsOneLineThatGoesAway(t *testing.T) {
	var b bytes.Buffer
	p := NewProgress(Stream{Writer: &b, Width: 80, TTY: true}, 2, false, time.Now)
	p.Step(true)
	p.Step(false)
	p.Finish()
	if strings.Contains(b.String(), "\n") {
		t.Errorf("%q", b.String())
	}
	if !strings.HasSuffix(strings.TrimRight(b.String(), " \r"), "") || !strings.Contains(b.String(), "1 failed") {
		t.Errorf("%q", b.String())
	}
}

func TestNothingToCountIsQuiet(t *testing.T) {
	p := NewProgress(Stream{}, 0, false, time.Now)
	p.Step(true)
	p.Clear()
	p.Finish()
}
