package identity

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	list "primum/safetylists"
)

func TestDifferencesAreSentencesThatNameBoth(t *testing.T) {
	cmms := list.Claim{Source: list.CMMS, Manufacturer: "Acme", Model: "Monitor 7", Version: "2.8.0"}
	for name, c := range map[string]struct {
		cmms     list.Claim
		serial   string
		answer   *list.Claim
		facts    []Fact
		want     []string
		conflict bool
	}{
		"same but for case": {cmms, "", &list.Claim{Manufacturer: "ACME", Model: "monitor  7", Version: "2.8.0"}, nil, nil, false},
		"other software": {cmms, "", &list.Claim{Manufacturer: "Acme", Model: "Monitor 7", Version: "2.8.1"}, nil,
			[]string{"Software found 2.8.1; CMMS says 2.8.0: verify at next PM."}, false},
		"software not in CMMS": {list.Claim{Manufacturer: "Acme", Model: "Monitor 7"}, "", &list.Claim{Manufacturer: "Acme", Model: "Monitor 7", Version: "2.8.1"}, nil,
			[]string{"Software found 2.8.1; CMMS says none: enter it at the next PM."}, false},
		"another product": {cmms, "", &list.Claim{Manufacturer: "Bolt", Model: "Pump", Version: "1"}, nil,
			[]string{"It answers as Bolt Pump; CMMS says Acme Monitor 7: go to the device, read its label, and correct the record that is wrong."}, true},
		"another unit": {cmms, "SN-1", nil, []Fact{{"serial", "SN-2", "sysName"}},
			[]string{"Serial number found SN-2; CMMS says SN-1: this may be another unit."}, false},
		"nothing recognised": {cmms, "SN-1", nil, nil, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, conflict := Differences(c.cmms, c.serial, c.answer, Answer{Facts: c.facts})
			if diff := cmp.Diff(c.want, got); diff != "" || conflict != c.conflict {
				t.Errorf("conflict %v: %s", conflict, diff)
			}
		})
	}
}

func TestClaimOfAnAnswerWithoutAListIsNone(t *testing.T) {
	if c, ok := Claim(nil, Answer{Facts: []Fact{{"description", "Acme", "sysDescr.0"}}}); ok {
		t.Errorf("claim %v", c)
	}
}

func TestClaimIsWhatAFingerprintSays(t *testing.T) {
	f, err := list.Load("acme", []byte(`schema: primum-list/1
name: acme
maker: Acme
dated: "2026-11-01"
statements:
  - id: acme-fp
    type: fingerprint
    product: {manufacturers: [Acme], models: [Monitor 7], versions: {compare: opaque, all: true}}
    identity:
      description: 'Acme Monitor 7 v(?P<version>[0-9.]+)'
    evidence:
      - {kind: manual, title: Manual, publisher: Acme, date: "2026-01-01", says: how it names itself, seen: full, provenance: the maker}
`))
	if err != nil {
		t.Fatal(err)
	}
	l, err := list.New([]*list.File{f}, list.Site{Name: "s", Policy: list.Real})
	if err != nil {
		t.Fatal(err)
	}
	c, ok := Claim(l, Answer{Run: "runs/1", Facts: []Fact{{"description", "Acme Monitor 7 v2.8.1", "sysDescr.0"}}})
	if !ok || c.Source != list.Answer || c.Version != "2.8.1" || c.By != "runs/1" {
		t.Errorf("claim %+v, %v", c, ok)
	}
}
