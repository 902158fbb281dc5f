package settings

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// PlainError takes the names of Go's functions out of an error about a
// flag's value.
func PlainError(err error) error {
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
