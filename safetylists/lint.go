package safetylists

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Finding is what a careful reader would ask to have mended before a file is signed.
type Finding struct {
	Line      int
	Statement string
	Says      string
}

// String is "line N: statement: what".
func (f Finding) String() string {
	return fmt.Sprintf("line %d: %s: %s", f.Line, f.Statement, f.Says)
}

// Lint returns what loads and should still not be signed: a statement that decides and stands in no
// example, a denial that does not tell what sets the harm off and what it is, a source without an
// address, an allowance that rests on contents, and an allowance's pace that no example shows refused.
func (f *File) Lint() []Finding {
	var out []Finding
	shown, refused := map[string]bool{}, 0
	for _, e := range f.Examples {
		for _, id := range e.By {
			shown[id] = true
		}
		if e.Expect != Allowed {
			refused++
		}
	}
	allows := 0
	for _, s := range f.Statements {
		add := func(says string) { out = append(out, Finding{s.line, s.ID, says}) }
		if s.Type == Allow {
			allows++
		}
		if s.Type != Fingerprint && s.Type != Note && !shown[s.ID] {
			add("no example names it under by")
		}
		if s.Type == Deny || s.Type == StackHazardType {
			if s.Trigger.Class == "" || s.Trigger.Words == "" {
				add("trigger is missing: what sets it off")
			}
			if len(s.Effect.Classes) == 0 {
				add("effect is missing: what happens then")
			}
		}
		for _, facet := range facets() {
			if text := s.facet(facet); strings.Contains(text, "<") && strings.Contains(text, ">") {
				add(facet + " still has a place to be filled in: " + text)
			}
		}
		for i, e := range s.Evidence {
			for name, text := range map[string]string{"kind": e.Kind, "title": e.Title, "publisher": e.Publisher, "document": e.Document, "address": e.Address, "says": e.Says, "provenance": e.Provenance} {
				if strings.HasPrefix(text, "<") && strings.HasSuffix(text, ">") {
					add(fmt.Sprintf("evidence %d: %s still has a place to be filled in: %s", i+1, name, text))
				}
			}
		}
		if !f.Lab && slices.ContainsFunc(s.Evidence, func(e Evidence) bool { return e.Address == "" }) {
			add("evidence without an address: say where the document is")
		}
		if s.Type == Allow && s.strength == SeenContents {
			add("nobody has read more than the contents of its document: it can never allow")
		}
	}
	if allows > 0 && refused == 0 {
		out = append(out, Finding{1, f.Name, "no example is refused: show what the allowances do not cover"})
	}
	return out
}

// Ended returns the allowances, and the documents behind statements, that have ended at a moment.
func (f *File) Ended(at time.Time) []Finding {
	var out []Finding
	for _, s := range f.Statements {
		if s.Type == Allow && !at.Before(s.Expires) {
			out = append(out, Finding{s.line, s.ID, "expires: it ended on " + s.expires})
		}
		for _, e := range s.Evidence {
			if e.Until != "" && e.Until <= at.UTC().Format(time.DateOnly) {
				out = append(out, Finding{s.line, s.ID, fmt.Sprintf("evidence: %q ended on %s", e.Title, e.Until)})
			}
		}
	}
	return out
}
