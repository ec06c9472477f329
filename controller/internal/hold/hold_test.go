package hold

import (
	"fmt"
	"strings"
	"testing"
)

func TestCovers(t *testing.T) {
	subject := Subject{Tag: "10-1", Also: []string{"20-2"}, Models: []string{"Acme/Monitor  7", "Bolt/M7"}, Site: "North"}
	for _, c := range []struct {
		scope, value string
		want         bool
	}{
		{"device", "10-1", true}, {"device", "10-2", false}, {"model", "acme/monitor 7", true}, {"model", "Bolt / M7", true},
		{"model", "acme/monitor 8", false}, {"model", " ácme / MONITOR 7 ", true}, {"site", "north", true}, {"site", " NORTH ", true}, {"site", "south", false}, {"all", "", true}, {"device", "20-2", true},
	} {
		h, err := New(c.scope, c.value, "it beeps")
		if err != nil {
			t.Fatal(err)
		}
		if got := h.Covers(subject); got != c.want {
			t.Errorf("%s %q covers = %v", c.scope, c.value, got)
		}
	}
	if !(Hold{}).Covers(subject) {
		t.Error("a hold of no known scope does not stop")
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range [][3]string{{"", "x", "r"}, {"ward", "x", "r"}, {"all", "x", "r"}, {"device", " ", "r"}, {"model", "acme", "r"}, {"model", "/x", "r"}, {"all", "", " "}} {
		if h, err := New(c[0], c[1], c[2]); err == nil {
			t.Errorf("New(%q) = %v", c, h)
		}
	}
}

// A refusal for length says what is too long, how long it is and how long it may be.
func TestARefusalForLengthNamesTheLimit(t *testing.T) {
	long := func(n int) string { return strings.Repeat("a", n) }
	for name, c := range map[string]struct{ scope, value, reason, want string }{
		"a value":       {"device", long(257), "r", "the device of the hold has 257 octets; at most 256 are taken"},
		"a model":       {"model", "m/" + long(300), "r", "the model of the hold has 302 octets; at most 256 are taken"},
		"a reason":      {"all", "", long(3000), "the reason has 3000 octets; at most 1024 are taken"},
		"no text":       {"all", "", "\xff", "the reason is not UTF-8 text"},
		"no name":       {"site", "\xff", "r", "the site of the hold is not UTF-8 text"},
		"both at most":  {"device", long(256), long(1024), ""},
		"blanks around": {"device", " " + long(256), long(1024) + " ", ""},
	} {
		_, err := New(c.scope, c.value, c.reason)
		if got := fmt.Sprint(err); c.want == "" && err != nil || c.want != "" && got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if err := Reason(long(1025)); err == nil || err.Error() != "the reason has 1025 octets; at most 1024 are taken" {
		t.Error(err)
	}
	if err := Reason(" \t"); err == nil {
		t.Error("no reason is one")
	}
}

func TestOnlyTwoRolesMayLift(t *testing.T) {
	for role, want := range map[string]bool{"admin": true, "clinical": true, "security": false, "operator": false, "tool": false, "auditor": false, "": false} {
		if MayLift(role) != want {
			t.Errorf("MayLift(%q) = %v", role, !want)
		}
	}
}
