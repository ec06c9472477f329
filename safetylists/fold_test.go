package safetylists

import "testing"

func TestNamesAreComparedAsPeopleWriteThem(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"Dräger/Infinity Delta", "drager / INFINITY  delta ", true}, {"Acme/M7", "Acme/M8", false}, {"Acme/M7", "Acme M7", false},
		{"B/Braun/Space", "b /braun/ space", true}, {"", " ", true}, {"", "/", false}, {"North", "NORTH", true},
	} {
		if got := SameName(c.a, c.b); got != c.want || SameName(c.b, c.a) != got {
			t.Errorf("%q and %q: %v", c.a, c.b, got)
		}
	}
}
