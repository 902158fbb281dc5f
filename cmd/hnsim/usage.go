package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hnsim/hnsim/cmd/hnsim/internal/settings"
	"github.com/hnsim/hnsim/conformance"
)

// sticky remembers the first error in writing what the program was asked for:
// a full disk must not look like success.
type sticky struct {
	io.Writer
	err error
}

func (s *sticky) Write(p []byte) (int, error) {
	n, err := s.Writer.Write(p)
	if err != nil && s.err == nil {
		s.err = err
	}
	return n, err
}

// wrapFlags makes a usage template wrap what it says of flags at a width; a
// narrower terminal than that of old wraps by itself.
func wrapFlags(template string, width int) string {
	return strings.ReplaceAll(template, ".FlagUsages", fmt.Sprintf(".FlagUsagesWrapped %d", max(width, 80)))
}

// sayUsage makes the errors of the command line say what was expected, in the
// words of the verb rather than of the libraries.
func sayUsage(root *cobra.Command) {
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", settings.PlainError(err), c.CommandPath())
	})
	sayArguments(root)
}

// sayArguments does that for the arguments of all verbs below c.
func sayArguments(c *cobra.Command) {
	for _, c := range c.Commands() {
		sayArguments(c)
		if check := c.Args; check != nil {
			c.Args = func(c *cobra.Command, args []string) error {
				if err := check(c, args); err != nil {
					return argumentError(c, args)
				}
				return nil
			}
		}
	}
}

// knownVerb refuses what is no verb, with the one that is nearest.
func knownVerb(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, v := range c.Commands() {
		if v.IsAvailableCommand() {
			names = append(names, v.Name())
		}
	}
	hint := ""
	if s := conformance.Suggest(args[0], names); s != "" {
		hint = "; did you mean " + strconv.Quote(s) + "?"
	}
	return fmt.Errorf("unknown command %q for %q%s; %s help lists them", args[0], c.CommandPath(), hint, c.CommandPath())
}

// argumentError says what a verb takes.
func argumentError(c *cobra.Command, args []string) error {
	found := "nothing"
	if len(args) > 0 {
		found = strconv.Quote(strings.Join(args, " "))
	}
	return fmt.Errorf("%s: expected %q, found %s; see %s --help", strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" "), c.UseLine(), found, c.CommandPath())
}

// helpCmd shows the help of a verb, as its --help does.
func helpCmd() *cobra.Command {
	return &cobra.Command{
		Use:    "help [verb]",
		Short:  "help about a verb",
		Hidden: true,
		RunE: func(c *cobra.Command, args []string) error {
			verb, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return fmt.Errorf("help: there is no verb %q; %s lists them", strings.Join(args, " "), c.Root().CommandPath())
			}
			return verb.Help()
		},
	}
}
