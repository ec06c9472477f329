package safetylists_test

import (
	"testing"

	. "primum/safetylists"
)

func TestVersionsCompareAsTheStatementDeclares(t *testing.T) {
	for _, c := range []struct {
		name    string
		spec    VersionsSpec
		version string
		want    Tri
	}{
		{"dotted before, same prefix", VersionsSpec{Compare: Dotted, Before: "VG4.3"}, "VG4.1.1", Yes},
		{"dotted before excludes its end", VersionsSpec{Compare: Dotted, Before: "VF10.1"}, "VF10.1", No},
		{"numbers, not text: 8 is before 10", VersionsSpec{Compare: Dotted, Before: "VF10.1"}, "VF8.1", Yes},
		{"another prefix cannot be compared", VersionsSpec{Compare: Dotted, Before: "VF10.1"}, "VG4.1.1", Unknown},
		{"a missing prefix cannot be compared", VersionsSpec{Compare: Dotted, Before: "VF10.1"}, "8.1", Unknown},
		{"case and spaces do not count", VersionsSpec{Compare: Dotted, Before: "VF10.1"}, " vf8.1 ", Yes},
		{"a dot may follow the letter", VersionsSpec{Compare: Dotted, From: "N.00"}, "N.01", Yes},
		{"an earlier letter is not earlier", VersionsSpec{Compare: Dotted, From: "N.00"}, "M.04", Unknown},
		{"up_to includes its end", VersionsSpec{Compare: Dotted, UpTo: "9.33.1"}, "9.33.1", Yes},
		{"up_to ends there", VersionsSpec{Compare: Dotted, UpTo: "9.33.1"}, "9.33.2", No},
		{"trailing zeros are the same version", VersionsSpec{Compare: Dotted, UpTo: "9.33"}, "9.33.0", Yes},
		{"from includes its beginning", VersionsSpec{Compare: Dotted, From: "R1.2", Before: "R2.0"}, "R1.2", Yes},
		{"before the beginning", VersionsSpec{Compare: Dotted, From: "R1.2", Before: "R2.0"}, "R1.1", No},
		{"a suffix cannot be compared", VersionsSpec{Compare: Dotted, From: "1.0"}, "1.2-beta", Unknown},
		{"a build word cannot be compared", VersionsSpec{Compare: Dotted, UpTo: "3.0"}, "v3.0 D15", Unknown},
		{"nine numbers cannot be compared", VersionsSpec{Compare: Dotted, From: "1"}, "1.2.3.4.5.6.7.8.9", Unknown},
		{"a number beyond 32 bits cannot be compared", VersionsSpec{Compare: Dotted, From: "1"}, "4294967296", Unknown},
		{"dotted list by number", VersionsSpec{Compare: Dotted, Is: []string{"2.8.0"}}, "2.8", Yes},
		{"dotted list, another version", VersionsSpec{Compare: Dotted, Is: []string{"2.8.0"}}, "2.8.1", No},
		{"dotted list, no number", VersionsSpec{Compare: Dotted, Is: []string{"2.8.0"}}, "two", Unknown},
		{"listed knows its own", VersionsSpec{Compare: Listed, Is: []string{"VL40.2"}}, "vl40.2", Yes},
		{"listed excludes every other", VersionsSpec{Compare: Listed, Is: []string{"VL40.2"}}, "VL40.20", No},
		{"opaque knows its own", VersionsSpec{Compare: Opaque, Is: []string{"1.5"}}, "1.5", Yes},
		{"opaque knows of no other", VersionsSpec{Compare: Opaque, Is: []string{"1.5"}}, "1.6", Unknown},
		{"no version is unknown", VersionsSpec{Compare: Listed, Is: []string{"1.5"}}, "  ", Unknown},
		{"all is all", VersionsSpec{Compare: Opaque, All: true}, "", Yes},
	} {
		v, err := ParseVersions(c.spec)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := v.Contains(c.version); got != c.want {
			t.Errorf("%s: %q is %s, want %s", c.name, c.version, got, c.want)
		}
	}
	if got := (Versions{}).Contains("1.0"); got != Unknown {
		t.Errorf("the zero set says %s of a version", got)
	}
}

func TestVersionsThatDoNotHoldTogetherAreRefused(t *testing.T) {
	for name, s := range map[string]VersionsSpec{
		"no comparison":       {All: true},
		"nothing named":       {Compare: Dotted},
		"all and a list":      {Compare: Listed, All: true, Is: []string{"1"}},
		"a range in a list":   {Compare: Listed, Before: "2.0"},
		"a range and a list":  {Compare: Dotted, Before: "2.0", Is: []string{"1"}},
		"two ends":            {Compare: Dotted, Before: "2.0", UpTo: "1.0"},
		"an end with a word":  {Compare: Dotted, Before: "8.5 GMA 3"},
		"an empty version":    {Compare: Listed, Is: []string{" "}},
		"an end of no number": {Compare: Dotted, UpTo: "N"},
	} {
		if _, err := ParseVersions(s); err == nil {
			t.Errorf("%s: accepted %+v", name, s)
		}
	}
}

func TestTriFollowsThreeValuedLogic(t *testing.T) {
	all := []Tri{No, Unknown, Yes}
	rank := map[Tri]int{No: 0, Unknown: 1, Yes: 2}
	for _, a := range all {
		for _, b := range all {
			if got, want := rank[a.And(b)], min(rank[a], rank[b]); got != want {
				t.Errorf("%s and %s = %s", a, b, a.And(b))
			}
			if got, want := rank[a.Or(b)], max(rank[a], rank[b]); got != want {
				t.Errorf("%s or %s = %s", a, b, a.Or(b))
			}
		}
		if a.Could() != (a != No) || a.Certain() != (a == Yes) {
			t.Errorf("%s: could %v, certain %v", a, a.Could(), a.Certain())
		}
	}
	if zero := Tri(0); zero != Unknown || zero.Certain() {
		t.Error("the zero Tri is certain of something")
	}
}
