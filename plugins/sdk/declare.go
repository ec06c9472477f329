package sdk

import (
	"fmt"
	"regexp"
	"strings"
)

// AttributeKind is what the value of an attribute is. The zero value is no kind.
type AttributeKind int

const (
	// AttributeText is words of the device. Longer ones are cut at the declared length.
	AttributeText AttributeKind = iota + 1
	// AttributeNumber is a decimal number: sign, up to 18 digits, a point and up to 9 digits.
	AttributeNumber
	// AttributeCode is a word of the protocol: letters, digits and any of ". _ / + -".
	AttributeCode
)

// Declaration says what one attribute is, before the first question. What a probe has not declared it cannot
// tell: the SDK ends the conversation, and the agent refuses the result of a probe that does without the SDK
// (B11).
type Declaration struct {
	// Name, dotted and in lower case, for example "aldane.hours". One that ends in ".*" stands for all names that
	// go on with an object identifier in place of the star.
	Name string
	// Kind of its value.
	Kind AttributeKind
	// Unit of a number as it is written after it, for example "h"; empty: none.
	Unit string
	// MaxLength of its value in characters, 1 to 255.
	MaxLength int
}

var (
	attributeName   = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*(\.[a-z0-9_-]+)*(\.\*)?$`)
	attributeNumber = regexp.MustCompile(`^-?[0-9]{1,18}(\.[0-9]{1,9})?$`)
	attributeCode   = regexp.MustCompile(`^[0-9A-Za-z._/+-]+$`)
)

const maxDeclared = 64

// check refuses a declaration that nobody could hold a value against.
func (d Declaration) check() error {
	switch {
	case len(d.Name) > maxText || !attributeName.MatchString(d.Name):
		return fmt.Errorf("attribute %q: a name is dotted and in lower case", Text([]byte(d.Name)))
	case d.Kind < AttributeText || d.Kind > AttributeCode:
		return fmt.Errorf("attribute %s: it has no kind", d.Name)
	case d.MaxLength < 1 || d.MaxLength > maxText:
		return fmt.Errorf("attribute %s: %d characters; 1 to %d", d.Name, d.MaxLength, maxText)
	case d.Unit != Text([]byte(d.Unit)) || len(d.Unit) > 16:
		return fmt.Errorf("attribute %s: a unit is at most 16 printable characters", d.Name)
	}
	return nil
}

func (d Description) check() error {
	if len(d.Attributes) > maxDeclared {
		return fmt.Errorf("%d attributes are declared, at most %d are allowed", len(d.Attributes), maxDeclared)
	}
	for _, a := range d.Attributes {
		if err := a.check(); err != nil {
			return err
		}
	}
	return nil
}

// names reports whether the declaration is for an attribute.
func (d Declaration) names(attribute string) bool {
	if stem, ok := strings.CutSuffix(d.Name, "*"); ok {
		rest, ok := strings.CutPrefix(attribute, stem)
		return ok && rest != "" && strings.Trim(rest, "0123456789.") == ""
	}
	return d.Name == attribute
}

// declared holds an attribute against the declarations, and returns its value as it is told.
func declared(all []Declaration, a Attribute) (string, error) {
	for _, d := range all {
		if !d.names(a.Name) {
			continue
		}
		value := cut([]byte(a.Value), d.MaxLength)
		switch {
		case d.Kind == AttributeText:
		case value != a.Value,
			d.Kind == AttributeNumber && !attributeNumber.MatchString(value),
			d.Kind == AttributeCode && !attributeCode.MatchString(value):
			return "", fmt.Errorf("attribute %s: %q is not of the declared kind and length", a.Name, Text([]byte(a.Value)))
		}
		return value, nil
	}
	return "", fmt.Errorf("attribute %q is not declared", Text([]byte(a.Name)))
}
