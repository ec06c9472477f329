package hold

import "testing"

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

func TestOnlyTwoRolesMayLift(t *testing.T) {
	for role, want := range map[string]bool{"admin": true, "clinical": true, "security": false, "operator": false, "tool": false, "auditor": false, "": false} {
		if MayLift(role) != want {
			t.Errorf("MayLift(%q) = %v", role, !want)
		}
	}
}
