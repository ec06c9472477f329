package safetylists

import (
	"fmt"
	"strings"
	"time"
)

// Describe says a statement in one sentence.
func (s *Statement) Describe() string {
	product := s.Product.String()
	switch s.Type {
	case Allow:
		return fmt.Sprintf("%s: %s", product, s.Question.text)
	case ForbidPort:
		return fmt.Sprintf("%s: %s", product, s.facet("ports"))
	case Deny, StackHazardType, Note:
		return fmt.Sprintf("%s: %s", product, s.facet("kinds"))
	default:
		return product
	}
}

// String names makers, models and versions.
func (p *Product) String() string {
	maker, model := strings.Join(p.spelled.Manufacturers, " or "), strings.Join(p.spelled.Models, ", ")
	if p.anyMaker {
		maker = "any maker"
	}
	if p.anyModel {
		model = "any model"
	}
	out := maker + ", " + model + ", " + p.spelled.Versions.String()
	if p.hasFixed {
		out += ", mended in " + p.spelled.FixedIn.String()
	}
	return out
}

// String says a set of versions.
func (v VersionsSpec) String() string {
	var parts []string
	for _, f := range []struct{ name, text string }{{"from ", v.From}, {"before ", v.Before}, {"up to ", v.UpTo}} {
		if f.text != "" {
			parts = append(parts, f.name+f.text)
		}
	}
	switch {
	case v.All:
		return "all versions"
	case len(v.Is) > 0:
		return "version " + strings.Join(v.Is, " or ")
	default:
		return "versions " + strings.Join(parts, " ")
	}
}

// facets are the names of what a statement says, in the order in which a person reads them.
func facets() []string {
	return []string{"type", "makers", "models", "versions", "mended in", "network cards", "kinds", "ports", "question", "purpose", "rest", "gap", "cap", "reply",
		"connect", "messages", "sources", "options", "clinical state", "accepts", "expires", "words", "evidence"}
}

// facet is one of them in words; empty when the statement says nothing of it.
func (s *Statement) facet(name string) string {
	duration := func(d time.Duration) string {
		if s.Type != Allow {
			return ""
		}
		return Span(d)
	}
	switch name {
	case "type":
		return string(s.Type)
	case "makers":
		if s.Product.anyMaker {
			return "any"
		}
		return strings.Join(s.Product.spelled.Manufacturers, ", ")
	case "models":
		if s.Product.anyModel {
			return "any"
		}
		return strings.Join(s.Product.spelled.Models, ", ")
	case "versions":
		return s.Product.spelled.Versions.String()
	case "mended in":
		if s.Product.hasFixed {
			return s.Product.spelled.FixedIn.String()
		}
	case "network cards":
		return strings.Join(s.Product.ouis, ", ")
	case "kinds":
		if s.Type != Deny && s.Type != StackHazardType && s.Type != Note {
			return ""
		}
		if len(s.Kinds) == 0 {
			return "every question"
		}
		var kinds []string
		for _, k := range s.Kinds {
			kinds = append(kinds, string(k))
		}
		return strings.Join(kinds, ", ")
	case "ports":
		var ports []string
		for _, r := range s.Ports {
			text := fmt.Sprintf("%s %d to %d", r.Transport, r.From, r.To)
			if r.From == r.To {
				text = fmt.Sprintf("%s %d", r.Transport, r.From)
			}
			ports = append(ports, text)
		}
		return strings.Join(ports, ", ")
	case "question":
		return s.Question.text
	case "purpose":
		return string(s.Purpose)
	case "rest":
		return duration(s.Limits.Rest)
	case "gap":
		return duration(s.Limits.Gap)
	case "cap":
		return duration(s.Limits.Cap)
	case "reply":
		return duration(s.Limits.Reply)
	case "connect":
		return duration(s.Limits.Connect)
	case "messages":
		if s.Type == Allow {
			return fmt.Sprint(s.Limits.Messages)
		}
	case "sources":
		var nets []string
		for _, p := range s.Sources {
			nets = append(nets, p.String())
		}
		return strings.Join(nets, ", ")
	case "options":
		return strings.Join(s.Options, ", ")
	case "clinical state":
		if s.OutOfUse {
			return "out of use, whatever its class"
		}
	case "accepts":
		return strings.Join(s.Accepts, ", ")
	case "expires":
		return s.expires
	case "words":
		return s.Words
	case "evidence":
		var all []string
		for _, e := range s.Evidence {
			all = append(all, fmt.Sprintf("%s, %s, %s (%s)", e.Title, e.Publisher, e.Date, e.Seen))
		}
		return strings.Join(all, "; ")
	}
	return ""
}

// Could reports whether the statement could speak of the device: No, Unknown or Yes. A device of which
// nothing is stated is never spoken of.
func (s *Statement) Could(d Device) Tri {
	x := Know(d)
	if !s.Product.reaches(&x) {
		return No
	}
	return s.Product.could(&x)
}
