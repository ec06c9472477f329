package safetylists_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	. "primum/safetylists"
)

func TestDiffSaysWhatBecameAllowedAndRefused(t *testing.T) {
	deny := "  - id: vela.deny\n    type: deny\n    product: {manufacturers: [Aldane], models: [Vela], versions: {compare: dotted, before: \"1.0\"}}\n    words: Leave it.\n" + sourced
	note := strings.NewReplacer("vela.deny", "vela.note", "type: deny", "type: note").Replace(deny)
	list := func(statements string) *List {
		return compile(t, []*File{velaFile(t, statements)}, Site{Name: "s", Policy: Real})
	}
	for _, c := range []struct {
		name          string
		before, after string
		want          []Change
	}{
		{"nothing", velaAllow, velaAllow, nil},
		{"a new allowance", deny, deny + velaAllow, []Change{{"vela.allow", Wider, "newly allowed: Aldane, Vela, versions from 1.0 before 2.0: snmp.get of 1.3.6.1.2.1.1.1.0 on port 161"}}},
		{"an allowance less", velaAllow, note, []Change{{"vela.allow", Narrower, "no longer allowed: Aldane, Vela, versions from 1.0 before 2.0: snmp.get of 1.3.6.1.2.1.1.1.0 on port 161"},
			{"vela.note", Same, "new note: Aldane, Vela, versions before 1.0: every question"}}},
		{"a new denial", velaAllow, velaAllow + deny, []Change{{"vela.deny", Narrower, "newly refused: Aldane, Vela, versions before 1.0: every question"}}},
		{"a lifted denial", velaAllow + deny, velaAllow, []Change{{"vela.deny", Wider, "no longer refused: Aldane, Vela, versions before 1.0: every question"}}},
		{"a shorter denial", deny, strings.Replace(deny, `"1.0"`, `"0.9"`, 1), []Change{{"vela.deny", Wider, "changed: versions was versions before 1.0, is versions before 0.9"}}},
		{"a longer rest and an earlier end", velaAllow, strings.Replace(velaAllow, `expires: "2027-06-01"`, "limits: {rest: 48h}\n    expires: \"2027-05-01\"", 1),
			[]Change{{"vela.allow", Narrower, "changed: rest was 24 h, is 48 h; expires was 2027-06-01, is 2027-05-01"}}},
		{"a longer rest and a later end", velaAllow, strings.Replace(velaAllow, `expires: "2027-06-01"`, "limits: {rest: 48h}\n    expires: \"2028-05-01\"", 1),
			[]Change{{"vela.allow", Wider, "changed: rest was 24 h, is 48 h; expires was 2027-06-01, is 2028-05-01"}}},
		{"other evidence", velaAllow, strings.Replace(velaAllow, "title: T", "title: U", 1), []Change{{"vela.allow", Same, "changed: evidence was T, P, 2026-01-01 (full), is U, P, 2026-01-01 (full)"}}},
		{"a document read in full", strings.Replace(velaAllow, "seen: full", "seen: excerpt", 1), velaAllow, []Change{{"vela.allow", Wider, "changed: evidence was T, P, 2026-01-01 (excerpt), is T, P, 2026-01-01 (full)"}}},
		{"a document read in part", velaAllow, strings.Replace(velaAllow, "seen: full", "seen: contents", 1), []Change{{"vela.allow", Narrower, "changed: evidence was T, P, 2026-01-01 (full), is T, P, 2026-01-01 (contents)"}}},
	} {
		if diff := cmp.Diff(c.want, Diff(list(c.before), list(c.after))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// A sign-off is what makes an allowance count at a site, so a release with one more allows more.
func TestDiffSaysWhatASiteAllowsThatItDidNot(t *testing.T) {
	f := velaFile(t, velaAllow)
	key, other := make([]byte, 32), append(make([]byte, 31), 1)
	site := func(by ...func(*Site)) Site {
		s := Site{Name: "s", Facility: "F", Policy: Real, MinApprovers: 1, Approvers: map[string][]byte{"A": key}}
		for _, b := range by {
			b(&s)
		}
		return s
	}
	signed := func(s *Site) {
		s.SignOffs = []SignOff{{Statement: "vela.allow", Digest: f.Statements[0].Digest, By: []string{"A"}}}
	}
	quiet := func(more string) Site {
		return site(func(s *Site) { with := siteWith(t, more); s.Zone, s.Quiet = with.Zone, with.Quiet })
	}
	older := func(s *Site) { s.SignOffs = []SignOff{{Statement: "vela.allow", By: []string{"A"}}} }
	for _, c := range []struct {
		name          string
		before, after Site
		want          []Change
	}{
		{"nothing", site(signed), site(signed), nil},
		{"no site file was read", Site{Name: "none", Policy: Real}, site(signed), nil},
		{"a sign-off", site(), site(signed), []Change{{"vela.allow", Wider, "signed off now, by A"}}},
		{"a sign-off of another text", site(), site(older), nil},
		{"a sign-off less", site(signed), site(), []Change{{"vela.allow", Narrower, "no longer signed off; it was, by A"}}},
		{"one person more than needed", site(signed), site(signed, func(s *Site) { s.SignOffs[0].By = []string{"B", "A"} }), []Change{{"vela.allow", Same, "sign-offs were by A, are by A, B"}}},
		{"another policy", site(), site(func(s *Site) { s.Policy = Lab }), []Change{{"site file", Wider, "policy was real, is lab"}}},
		{"another facility", site(), site(func(s *Site) { s.Facility = "G" }), []Change{{"site file", Wider, "facility was F, is G"}}},
		{"fewer signatures", site(func(s *Site) { s.MinApprovers = 2 }), site(), []Change{{"site file", Wider, "signatures that a plan needs were 2, are 1"}}},
		{"more signatures", site(), site(func(s *Site) { s.MinApprovers = 2 }), []Change{{"site file", Narrower, "signatures that a plan needs were 1, are 2"}}},
		{"a longer watch", site(), site(func(s *Site) { s.WaveWatch = 2 * time.Hour }), []Change{{"site file", Narrower, "the watch of a wave was 1h0m0s, is 2h0m0s"}}},
		{"a shorter watch", site(), site(func(s *Site) { s.WaveWatch = 20 * time.Minute }), []Change{{"site file", Wider, "the watch of a wave was 1h0m0s, is 20m0s"}}},
		{"a word about an address counts", site(), site(func(s *Site) { s.AddressProof = Attested }), []Change{{"site file", Wider, "what proves an address beside leases and neighbours was nothing, is attested"}}},
		{"it counts no longer", site(func(s *Site) { s.AddressProof = Attested }), site(), []Change{{"site file", Narrower, "what proves an address beside leases and neighbours was attested, is nothing"}}},
		{"a word of the CMMS", site(), site(func(s *Site) { s.UseStatus = UseStatus{[]string{"in storage"}, time.Hour} }), []Change{{"site file", Wider, `the CMMS status "in storage" is evidence that a device is not in use`}}},
		{"another word, for longer", site(func(s *Site) { s.UseStatus = UseStatus{[]string{"spare"}, time.Hour} }), site(func(s *Site) { s.UseStatus = UseStatus{[]string{"in storage"}, 2 * time.Hour} }), []Change{
			{"site file", Wider, `the CMMS status "in storage" is evidence that a device is not in use`}, {"site file", Wider, "a CMMS status could be 1h0m0s old, and may be 2h0m0s"},
			{"site file", Narrower, `the CMMS status "spare" is no longer evidence that a device is not in use`}}},
		{"other hours, other clocks", quiet("zone: Europe/Vienna\nquiet: [{place: ICU, from: \"07:00\", to: \"19:00\"}]\n"), quiet("zone: UTC\nquiet: [{place: ICU, from: \"07:00\", to: \"18:00\"}]\n"), []Change{
			{"site file", Wider, "the zone of its clocks was Europe/Vienna, is UTC"}, {"site file", Wider, "no longer quiet: ICU, from 07:00 to 19:00"}, {"site file", Narrower, "quiet: ICU, from 07:00 to 18:00"}}},
		{"another person, another key", site(func(s *Site) { s.Approvers["C"] = key }), site(func(s *Site) { s.Approvers = map[string][]byte{"A": other, "B": key} }), []Change{
			{"site file", Wider, "A signs plans with another key"}, {"site file", Wider, "B may sign plans now"}, {"site file", Narrower, "C may no longer sign plans"}}},
		{"other tightenings", site(func(s *Site) { s.Tighten = []Tightening{{"", nil, Limits{Rest: 48 * time.Hour}}} }),
			site(func(s *Site) { s.Tighten = []Tightening{{"vela.allow", []Kind{SNMPGet}, Limits{Gap: time.Minute}}} }), []Change{
				{"site file", Wider, "no longer tightened: every allowance to rest 48 h"}, {"site file", Narrower, "tightened: vela.allow snmp.get to gap 1 min"}}},
	} {
		if diff := cmp.Diff(c.want, Diff(compile(t, []*File{f}, c.before), compile(t, []*File{f}, c.after))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
