package safetylists

import (
	"testing"
	"time"
)

func TestNamesAreComparedAsPeopleWriteThem(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"Dräger/Infinity Delta", "drager / INFINITY  delta ", true}, {"Acme/M7", "Acme/M8", false}, {"Acme/M7", "Acme M7", false},
		{"Dr\u00e4ger\u200b", "Dr\u00e4\u00adger", true}, {"\ufeffAcme", "Acme", true}, {"Acme\u00ae M7\u2122", "Acme M7", true}, {"SC\u20137000", "SC-7000", true},
		{"B/Braun/Space", "b /braun/ space", true}, {"", " ", true}, {"", "/", false}, {"North", "NORTH", true},
	} {
		if got := SameName(c.a, c.b); got != c.want || SameName(c.b, c.a) != got {
			t.Errorf("%q and %q: %v", c.a, c.b, got)
		}
	}
}

// A denial holds for what people read, not for the octets that a spreadsheet or a web page has put between: soft
// hyphens, marks of trade, other dashes, and signs that nobody sees.
func TestADenialHoldsWhateverSignsStandInTheName(t *testing.T) {
	f, err := Load("deny.yaml", []byte(`schema: primum-list/1
name: deny
maker: Dräger
dated: 2026-11-24
lab: true
statements:
- id: draeger.delta
  type: deny
  product: {manufacturers: [Dräger], models: [Infinity SC-7000], versions: {compare: dotted, all: true}}
  words: It was seen to stop.
  evidence: [{kind: laboratory, title: made for a test, publisher: test, date: 2026-11-24, says: nothing, seen: full, provenance: made for a test}]
`))
	if err != nil {
		t.Fatal(err)
	}
	l, err := New([]*File{f}, Site{Name: "north", Policy: Lab})
	if err != nil {
		t.Fatal(err)
	}
	q, err := ParseQuery(QuerySpec{Kind: SNMPGet, Port: 161, OIDs: DefaultOIDs()})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range [][2]string{
		{"Dräger", "Infinity SC-7000"}, {"Dr\u00e4ger\u200b", "Infinity SC-7000"}, {"\ufeffDräger", "Infinity SC-7000"}, {"Drä\u00adger", "Infinity SC-7000"},
		{"Dräger\u00ae", "Infinity SC-7000"}, {"Dräger", "Infinity\u00ae SC-7000"}, {"Dräger", "Infinity\u2122 SC-7000"}, {"Dräger", "Infinity SC\u20137000"},
		{"Dräger", "Infinity SC\u20117000"}, {"Dräger", "Infi\u200bnity SC-7000"}, {"Dräger", "\u202eInfinity SC\u22127000"},
		{"Dräger", "Infinity\u00b7SC\u00b77000"}, {"Dräger", "\u201eInfinity SC-7000\u201c"},
	} {
		d := Device{ID: "D1", Claims: []Claim{{Source: CMMS, Manufacturer: name[0], Model: name[1], Version: "1"}}}
		if got := l.Decide(d, q, time.Now()); got.Reason != Denied {
			t.Errorf("%+q: %s", name, got.Reason)
		}
	}
}
