package terminal

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// DefaultWidth is the width of a stream that is not a terminal.
const DefaultWidth = 80

// Stream is where something is written, and what it can show.
type Stream struct {
	io.Writer
	TTY   bool
	Width int // columns
	Color bool
}

// ColorMode is the value of --color.
type ColorMode string

const (
	Auto   ColorMode = "auto"
	Always ColorMode = "always"
	Never  ColorMode = "never"
)

// ParseColorMode checks a value of --color.
func ParseColorMode(s string) (ColorMode, error) {
	switch m := ColorMode(s); m {
	case Auto, Always, Never:
		return m, nil
	}
	return Auto, fmt.Errorf("--color is %q: expected auto, always or never", s)
}

// NewStream finds out what w can do. Writers that are no files are no
// terminals.
func NewStream(w io.Writer, env func(string) string) Stream {
	s := Stream{Writer: w, Width: DefaultWidth}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.TTY = true
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 20 {
			s.Width = width
		}
	}
	s.Color = Colored(Auto, s.TTY, env)
	return s
}

// Colored decides on colour. The flag beats the environment; NO_COLOR beats
// CLICOLOR_FORCE, because a wrong "no" only costs looks; a dumb terminal and a
// stream that is no terminal get none.
func Colored(mode ColorMode, tty bool, env func(string) string) bool {
	switch mode {
	case Always:
		return true
	case Never:
		return false
	}
	if env("NO_COLOR") != "" {
		return false
	}
	if force := env("CLICOLOR_FORCE"); force != "" && force != "0" {
		return true
	}
	return tty && env("TERM") != "dumb"
}
