package main

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/alecthomas/kong"
)

// wrong says a fault of the command line, and whose help tells more.
func wrong(c *kong.Context, err error) string {
	if at := (*kong.ParseError)(nil); errors.As(err, &at) {
		c = at.Context
	}
	of := ""
	if c != nil && c.Selected() != nil {
		of = " " + c.Selected().Path()
	}
	return fmt.Sprintf("%s. See primum%s --help.", plain(err.Error()), of)
}

// empty finds what was given and is empty, as an unset variable of a shell gives it. Taken for left out, it would mean the
// contrary of what was meant: evidence verify would believe the key in the file.
func empty(c *kong.Context) error {
	for _, p := range c.Path {
		switch {
		case p.Flag != nil && p.Flag.Name != "home" && nothing(c.FlagValue(p.Flag)):
			if p.Flag.Required {
				return fmt.Errorf("--%s is empty", p.Flag.Name)
			}
			return fmt.Errorf("--%s is empty; give it a value, or leave it out", p.Flag.Name)
		case p.Positional != nil && nothing(p.Positional.Target.Interface()):
			return fmt.Errorf("<%s> is empty", p.Positional.Name)
		}
	}
	return nil
}

// nothing reports whether a value is an empty text, or a list with one in it.
func nothing(v any) bool {
	switch v := reflect.ValueOf(v); v.Kind() {
	case reflect.String:
		return v.Len() == 0
	case reflect.Slice:
		for i := range v.Len() {
			if nothing(v.Index(i).Interface()) {
				return true
			}
		}
	}
	return false
}
