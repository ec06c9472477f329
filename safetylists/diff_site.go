package safetylists

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// siteFile stands where a change is of the site file and of no statement.
const siteFile = "site file"

// diffSites says what the site of one list allows that the site of another did not: who has signed off,
// who signs plans, which limits are stricter. Lists that no site file was read for have no such changes.
func diffSites(before, after *List) []Change {
	was, is := before.site, after.site
	if was.MinApprovers == 0 || is.MinApprovers == 0 {
		return nil
	}
	var out []Change
	add := func(id string, sense Sense, format string, args ...any) {
		out = append(out, Change{id, sense, fmt.Sprintf(format, args...)})
	}
	for _, id := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(before.ids, after.ids)))) {
		had, hadSays := before.signOffsOf(id)
		has, hasSays := after.signOffsOf(id)
		switch {
		case hadSays == hasSays:
		case has && !had:
			add(id, Wider, "signed off now, by %s", hasSays)
		case had && !has:
			add(id, Narrower, "no longer signed off; it was, by %s", hadSays)
		default:
			add(id, Same, "sign-offs were by %s, are by %s", nothing(hadSays), nothing(hasSays))
		}
	}
	for _, f := range []struct{ what, was, is string }{{"name", was.Name, is.Name}, {"facility", was.Facility, is.Facility}, {"policy", string(was.Policy), string(is.Policy)}} {
		if f.was != f.is {
			add(siteFile, Wider, "%s was %s, is %s", f.what, nothing(f.was), nothing(f.is))
		}
	}
	if was.MinApprovers != is.MinApprovers {
		sense := Wider
		if is.MinApprovers > was.MinApprovers {
			sense = Narrower
		}
		add(siteFile, sense, "signatures that a plan needs were %d, are %d", was.MinApprovers, is.MinApprovers)
	}
	if was.WaveWatch != is.WaveWatch {
		sense := Wider
		if is.Watch() > was.Watch() {
			sense = Narrower
		}
		add(siteFile, sense, "the watch of a wave was %s, is %s", was.Watch(), is.Watch())
	}
	if was.AddressProof != is.AddressProof {
		sense := Wider
		if is.AddressProof == "" || is.AddressProof == Attested && was.AddressProof == ByAnswer {
			sense = Narrower
		}
		add(siteFile, sense, "what proves an address beside leases and neighbours was %s, is %s", nothing(string(was.AddressProof)), nothing(string(is.AddressProof)))
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(slices.Collect(maps.Keys(was.Approvers)), slices.Collect(maps.Keys(is.Approvers)))))) {
		old, now := was.Approvers[name], is.Approvers[name]
		switch {
		case old == nil:
			add(siteFile, Wider, "%s may sign plans now", name)
		case now == nil:
			add(siteFile, Narrower, "%s may no longer sign plans", name)
		case !bytes.Equal(old, now):
			add(siteFile, Wider, "%s signs plans with another key", name)
		}
	}
	out = append(out, diffUse(was.UseStatus, is.UseStatus)...)
	out = append(out, diffQuiet(was, is)...)
	old, now := tightenings(was), tightenings(is)
	for _, t := range old {
		if !slices.Contains(now, t) {
			add(siteFile, Wider, "no longer tightened: %s", t)
		}
	}
	for _, t := range now {
		if !slices.Contains(old, t) {
			add(siteFile, Narrower, "tightened: %s", t)
		}
	}
	return out
}

// signOffsOf says whether an allowance has the sign-offs that it needs, and of whom. Only those of exactly
// this text count, and of the site's own allowances only those with a signature.
func (l *List) signOffsOf(id string) (enough bool, persons string) {
	s := l.byID[id]
	if s == nil || s.Type != Allow {
		return false, ""
	}
	var names []string
	for _, so := range l.site.SignOffs {
		if so.Statement == id && so.Digest == s.Digest {
			if s.site {
				names = append(names, so.Signed...)
			} else {
				names = append(names, so.By...)
			}
		}
	}
	slices.Sort(names)
	return l.signed[slices.Index(l.ids, id)] >= s.signOffsNeeded(), strings.Join(slices.Compact(names), ", ")
}

func tightenings(s Site) []string {
	var out []string
	for _, t := range s.Tighten {
		of, kinds := "every allowance", ""
		if t.Statement != "" {
			of = t.Statement
		}
		for _, k := range t.Kinds {
			kinds += " " + string(k)
		}
		var limits []string
		l := t.Limits
		for _, f := range []struct{ name, text string }{{"rest", Span(l.Rest)}, {"gap", Span(l.Gap)}, {"cap", Span(l.Cap)}, {"reply", Span(l.Reply)}, {"connect", Span(l.Connect)}} {
			if f.text != "" {
				limits = append(limits, f.name+" "+f.text)
			}
		}
		out = append(out, of+kinds+" to "+strings.Join(limits, ", "))
	}
	slices.Sort(out)
	return slices.Compact(out)
}
