package controller

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/alecthomas/kong"
)

// usageError is wrong usage that shows only when a command looks at what it was given; it ends the program with 2.
type usageError struct{ words string }

func (e usageError) Error() string { return e.words }

func usage(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// wrong says a fault of the command line, and whose help tells more.
func wrong(c *kong.Context, err error) string {
	if at := (*kong.ParseError)(nil); errors.As(err, &at) {
		c = at.Context
	}
	of := ""
	if c != nil && c.Selected() != nil {
		of = " " + c.Selected().Path()
	}
	return fmt.Sprintf("%v. See primum-controller%s --help.", err, of)
}

// empty finds an option that was given and is empty, as an unset variable of a shell gives it.
func empty(c *kong.Context) error {
	for _, p := range c.Path {
		if p.Flag == nil {
			continue
		}
		if v := reflect.ValueOf(c.FlagValue(p.Flag)); v.Kind() == reflect.String && v.Len() == 0 {
			if p.Flag.Required {
				return fmt.Errorf("--%s is empty", p.Flag.Name)
			}
			return fmt.Errorf("--%s is empty; give it a value, or leave it out", p.Flag.Name)
		}
	}
	return nil
}
