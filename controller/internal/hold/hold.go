// Package hold says what a stop order covers. Anyone may place one; lifting one needs a role and a
// reason (H-033). It opens no connection and keeps nothing: versions and storage are the store's.
package hold

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	list "primum/safetylists"
)

// Scope is what a hold stops.
type Scope string

// The scopes. The zero value is none and is refused.
const (
	Device Scope = "device"
	Model  Scope = "model"
	Site   Scope = "site"
	All    Scope = "all"
)

// Hold is one stop order in force.
type Hold struct {
	Scope  Scope
	Value  string // asset tag, "maker/model", or site name; empty for All
	Reason string
}

// New checks a stop order. Errors are sentences for a person.
func New(scope, value, reason string) (Hold, error) {
	h := Hold{Scope(scope), strings.TrimSpace(value), strings.TrimSpace(reason)}
	maker, model, two := strings.Cut(h.Value, "/")
	switch {
	case h.Scope != Device && h.Scope != Model && h.Scope != Site && h.Scope != All:
		return Hold{}, fmt.Errorf("a hold stops a device, a model, a site, or all, not %q", scope)
	case h.Scope == All && h.Value != "":
		return Hold{}, fmt.Errorf("a hold of everything has no value")
	case h.Scope != All && h.Value == "":
		return Hold{}, fmt.Errorf("say which %s the hold stops", h.Scope)
	case h.Scope == Model && (!two || strings.TrimSpace(maker) == "" || strings.TrimSpace(model) == ""):
		return Hold{}, fmt.Errorf("a model is written maker/model, not %q", h.Value)
	}
	if err := text(fmt.Sprintf("the %s of the hold", h.Scope), h.Value, mostValue); err != nil {
		return Hold{}, err
	}
	if err := Reason(h.Reason); err != nil {
		return Hold{}, err
	}
	return h, nil
}

// The bounds of a hold's texts, in octets.
const (
	mostValue  = 256
	mostReason = 1024
)

// Reason checks why a hold is placed, or lifted. Errors are sentences for a person.
func Reason(reason string) error {
	reason = strings.TrimSpace(reason)
	if reason == "" {
		return fmt.Errorf("say why: a hold is placed and lifted with a reason")
	}
	return text("the reason", reason, mostReason)
}

func text(what, s string, most int) error {
	switch {
	case !utf8.ValidString(s):
		return fmt.Errorf("%s is not UTF-8 text", what)
	case len(s) > most:
		return fmt.Errorf("%s has %d octets; at most %d are taken", what, len(s), most)
	}
	return nil
}

// String says what the hold stops: "model Aldane/Vela 3", or "everything".
func (h Hold) String() string {
	if h.Scope == All {
		return "everything"
	}
	return string(h.Scope) + " " + h.Value
}

// Subject is what a hold may cover: one device, by every name that a source gives it.
type Subject struct {
	Tag    string
	Also   []string // other tags of the same device (G9)
	Models []string // "maker/model" of each source
	Site   string
}

// Covers reports whether the hold stops the subject. What is unclear is stopped.
func (h Hold) Covers(s Subject) bool {
	switch h.Scope {
	case Device:
		return h.Value == s.Tag || slices.Contains(s.Also, h.Value)
	case Site:
		return list.SameName(h.Value, s.Site)
	case Model:
		for _, m := range s.Models {
			if list.SameName(h.Value, m) {
				return true
			}
		}
		return false
	default:
		return true
	}
}

// First returns the first hold that covers the subject.
func First(holds []Hold, s Subject) (Hold, bool) {
	for _, h := range holds {
		if h.Covers(s) {
			return h, true
		}
	}
	return Hold{}, false
}

// MayLift reports whether a role may lift a hold.
func MayLift(role string) bool { return role == "clinical" || role == "admin" }
