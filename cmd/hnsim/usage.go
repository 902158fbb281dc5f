package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
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

// sayUsage makes the errors of the command line say what was expected, in the
// words of the verb rather than of the libraries.
func sayUsage(root *cobra.Command) {
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", plainFlagError(err), c.CommandPath())
	})
	for _, c := range root.Commands() {
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

// plainFlagError takes the names of Go's functions out of an error about a
// flag's value.
func plainFlagError(err error) error {
	var value *pflag.InvalidValueError
	if !errors.As(err, &value) {
		return err
	}
	why := value.Unwrap()
	var number *strconv.NumError
	switch {
	case !errors.As(err, &number):
	case errors.Is(number, strconv.ErrRange):
		why = errors.New("the number is too large or too small")
	case strings.HasPrefix(value.GetFlag().Value.Type(), "uint"):
		why = errors.New("expected a whole number that is not negative")
	case number.Func == "ParseBool":
		why = errors.New("expected true or false")
	default:
		why = errors.New("expected a number")
	}
	if value.GetFlag().Value.Type() == "duration" {
		why = errors.New("expected a time such as 90s, 5m or 1h30m")
	}
	return fmt.Errorf("--%s is %q: %w", value.GetFlag().Name, value.GetValue(), why)
}

// argumentError says what a verb takes.
func argumentError(c *cobra.Command, args []string) error {
	found := "nothing"
	if len(args) > 0 {
		found = strconv.Quote(strings.Join(args, " "))
	}
	return fmt.Errorf("%s: expected %q, found %s; see %s --help", c.Name(), c.UseLine(), found, c.CommandPath())
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
