package safetylists

import (
	"fmt"
	"slices"
	"strings"
)

// Change is one difference between two releases.
type Change struct {
	Statement string
	Sense     Sense
	Says      string // in words, for a technician
}

// Sense says which way a change goes.
type Sense string

// The senses. A change that cannot be told is Wider: somebody has to look.
const (
	Wider    Sense = "wider"    // something may be allowed that was not
	Narrower Sense = "narrower" // something may be refused that was allowed
	Same     Sense = "same"     // nothing that decides has changed
)

// Diff says what one list allows that another did not, and the other way round: first what became wider,
// then what became narrower, then the rest, each in order of the statements and then what the site files say.
func Diff(before, after *List) []Change {
	var out []Change
	ids := slices.Concat(before.ids, after.ids)
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		was, is := before.byID[id], after.byID[id]
		switch {
		case was == nil:
			out = append(out, Change{id, appears(is), verb(is, "newly allowed", "newly refused", "new") + is.Describe()})
		case is == nil:
			out = append(out, Change{id, opposite(appears(was)), verb(was, "no longer allowed", "no longer refused", "removed") + was.Describe()})
		case was.Digest != is.Digest:
			sense, says := changed(was, is)
			out = append(out, Change{id, sense, says})
		}
	}
	out = append(out, diffSites(before, after)...)
	slices.SortStableFunc(out, func(a, b Change) int { return slices.Index(senses(), a.Sense) - slices.Index(senses(), b.Sense) })
	return out
}

func senses() []Sense { return []Sense{Wider, Narrower, Same} }

func appears(s *Statement) Sense {
	switch s.Type {
	case Allow:
		return Wider
	case Deny, ForbidPort, StackHazardType:
		return Narrower
	default:
		return Same
	}
}

func opposite(s Sense) Sense {
	switch s {
	case Wider:
		return Narrower
	case Narrower:
		return Wider
	default:
		return Same
	}
}

func verb(s *Statement, allow, refuse, other string) string {
	switch appears(s) {
	case Wider:
		return allow + ": "
	case Narrower:
		return refuse + ": "
	default:
		return other + " " + string(s.Type) + ": "
	}
}

// changed says which facets differ. What decides and cannot be ordered counts as wider.
func changed(was, is *Statement) (Sense, string) {
	sense := Same
	var says []string
	for _, f := range facets() {
		a, b := was.facet(f), is.facet(f)
		if a == b {
			continue
		}
		switch {
		case f == "words", f == "evidence" && was.strength == is.strength:
		case f == "evidence" && is.strength != SeenFull:
			sense = worse(sense, Narrower)
		default:
			sense = worse(sense, direction(f, was, is))
		}
		says = append(says, fmt.Sprintf("%s was %s, is %s", f, nothing(a), nothing(b)))
	}
	if len(says) == 0 {
		says = append(says, "only how it is told has changed")
	}
	if is.Type == Fingerprint || is.Type == Note {
		sense = Same
	}
	return sense, "changed: " + strings.Join(says, "; ")
}

// direction is whether a changed facet of a statement makes it wider. More time at rest, a longer gap and
// an earlier end are narrower in an allowance; whatever else changes in what decides may be wider.
func direction(f string, was, is *Statement) Sense {
	if was.Type != Allow || is.Type != Allow {
		return Wider
	}
	narrower := false
	switch f {
	case "rest":
		narrower = is.Limits.Rest > was.Limits.Rest
	case "gap":
		narrower = is.Limits.Gap > was.Limits.Gap
	case "cap":
		narrower = is.Limits.Cap < was.Limits.Cap
	case "reply":
		narrower = is.Limits.Reply < was.Limits.Reply
	case "connect":
		narrower = is.Limits.Connect < was.Limits.Connect
	case "expires":
		narrower = is.Expires.Before(was.Expires)
	case "purpose":
		narrower = is.Purpose == Routine
	case "clinical state":
		narrower = is.OutOfUse
	}
	if narrower {
		return Narrower
	}
	return Wider
}

func worse(a, b Sense) Sense {
	if a == Wider || b == Wider {
		return Wider
	}
	if a == Narrower || b == Narrower {
		return Narrower
	}
	return Same
}

func nothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}
