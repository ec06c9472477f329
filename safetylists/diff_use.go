package safetylists

import (
	"fmt"
	"slices"
)

// diffUse says which words of the CMMS are evidence now that were not.
func diffUse(was, is UseStatus) (out []Change) {
	for _, text := range was.NotInUse {
		if !slices.Contains(is.NotInUse, text) {
			out = append(out, Change{siteFile, Narrower, fmt.Sprintf("the CMMS status %q is no longer evidence that a device is not in use", text)})
		}
	}
	for _, text := range is.NotInUse {
		if !slices.Contains(was.NotInUse, text) {
			out = append(out, Change{siteFile, Wider, fmt.Sprintf("the CMMS status %q is evidence that a device is not in use", text)})
		}
	}
	if was.Fresh > 0 && is.Fresh > 0 && was.Fresh != is.Fresh {
		sense := Wider
		if is.Fresh < was.Fresh {
			sense = Narrower
		}
		out = append(out, Change{siteFile, sense, fmt.Sprintf("a CMMS status could be %s old, and may be %s", was.Fresh, is.Fresh)})
	}
	return out
}

// diffQuiet says which hours of wards are new or gone. Other clocks make all of them other hours.
func diffQuiet(was, is Site) (out []Change) {
	if was.Zone != nil && is.Zone != nil && was.Zone.String() != is.Zone.String() {
		out = append(out, Change{siteFile, Wider, fmt.Sprintf("the zone of its clocks was %s, is %s", was.Zone, is.Zone)})
	}
	same := func(a Quiet) func(Quiet) bool {
		return func(b Quiet) bool { return a.words == b.words && a.From == b.From && a.To == b.To }
	}
	for _, q := range was.Quiet {
		if !slices.ContainsFunc(is.Quiet, same(q)) {
			out = append(out, Change{siteFile, Wider, "no longer quiet: " + q.String()})
		}
	}
	for _, q := range is.Quiet {
		if !slices.ContainsFunc(was.Quiet, same(q)) {
			out = append(out, Change{siteFile, Narrower, "quiet: " + q.String()})
		}
	}
	return out
}
