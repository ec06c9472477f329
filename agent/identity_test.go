package agent

import "testing"

// The root given by hand is believed over the controller's: where they differ nobody enrols.
func TestAnAgentDoesNotEnrolAtAControllerWithAnotherListRoot(t *testing.T) {
	for name, c := range map[string]struct {
		theirs string
		ok     bool
	}{"the same": {"root", true}, "another": {"toor", false}, "none": {"", false}} {
		if err := sameRoot([]byte("root"), []byte(c.theirs), "root.json"); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
