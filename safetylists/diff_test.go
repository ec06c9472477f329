package safetylists_test

import (
	"strings"
	"testing"

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
			[]Change{{"vela.allow", Narrower, "changed: rest was 24h0m0s, is 48h0m0s; expires was 2027-06-01, is 2027-05-01"}}},
		{"a longer rest and a later end", velaAllow, strings.Replace(velaAllow, `expires: "2027-06-01"`, "limits: {rest: 48h}\n    expires: \"2028-05-01\"", 1),
			[]Change{{"vela.allow", Wider, "changed: rest was 24h0m0s, is 48h0m0s; expires was 2027-06-01, is 2028-05-01"}}},
		{"other evidence", velaAllow, strings.Replace(velaAllow, "title: T", "title: U", 1), []Change{{"vela.allow", Same, "changed: evidence was T, P, 2026-01-01 (full), is U, P, 2026-01-01 (full)"}}},
		{"a document read in full", strings.Replace(velaAllow, "seen: full", "seen: excerpt", 1), velaAllow, []Change{{"vela.allow", Wider, "changed: evidence was T, P, 2026-01-01 (excerpt), is T, P, 2026-01-01 (full)"}}},
		{"a document read in part", velaAllow, strings.Replace(velaAllow, "seen: full", "seen: contents", 1), []Change{{"vela.allow", Narrower, "changed: evidence was T, P, 2026-01-01 (full), is T, P, 2026-01-01 (contents)"}}},
	} {
		if diff := cmp.Diff(c.want, Diff(list(c.before), list(c.after))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
