package pluginhost

import (
	"strings"
	"unicode"

	probev1 "primum/proto/probe/v1"
)

// Result is what a plugin made of a conversation: a claim, cut to its schema (B11).
type Result struct {
	Status     probev1.Result_Status
	Detail     string
	Facts      []Fact
	Attributes []Attribute
	Uptime     *uint32
}

// Fact is one identity fact.
type Fact struct{ Field, Value, Origin string }

// Attribute is one protocol code.
type Attribute struct{ Name, Value string }

const (
	maxFacts      = 64
	maxAttributes = 32
	maxText       = 255
	maxDetail     = 512
)

// clean takes a result as far as the plugin may claim it. One with an attribute that was not declared, or that is
// not what was declared, is refused whole: who does not keep to its own word is not believed (B11).
func clean(r *probev1.Result, declared []declaration) (Result, error) {
	out := Result{Status: r.GetStatus(), Detail: text(r.GetDetail(), maxDetail)}
	for _, f := range r.GetFacts() {
		switch f.GetField() {
		case "manufacturer", "model", "version", "serial", "name", "description", "object_id", "software":
		default:
			continue
		}
		if len(out.Facts) < maxFacts {
			out.Facts = append(out.Facts, Fact{f.GetField(), text(f.GetValue(), maxText), text(f.GetOrigin(), maxText)})
		}
	}
	for _, a := range r.GetAttributes() {
		if err := holds(declared, a.GetName(), a.GetValue()); err != nil {
			return Result{}, err
		}
		if len(out.Attributes) < maxAttributes {
			out.Attributes = append(out.Attributes, Attribute{text(a.GetName(), maxText), text(a.GetValue(), maxText)})
		}
	}
	if v := r.GetVitals(); v != nil && v.UptimeTicks != nil {
		ticks := v.GetUptimeTicks()
		out.Uptime = &ticks
	}
	return out, nil
}

// text drops what can forge a screen or a log: controls, and marks that turn the direction (H-024).
func text(s string, most int) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			continue
		}
		if n == most {
			break
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}
