package controls

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

const root = "../../.."

// Every hazard has a control that can be taken out, the code still has it where the file says, and the test that
// goes red is the one that the row of the hazard names.
func TestEveryHazardHasAControlThatCanBeTakenOut(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "HAZARDS.md"))
	if err != nil {
		t.Fatal(err)
	}
	hazards := Hazards(text)
	if len(hazards) < 36 {
		t.Fatalf("%d hazards are read", len(hazards))
	}
	all, err := Read(".")
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, c := range all {
		have[c.Hazard] = true
		if !slices.Contains(hazards[c.Hazard], c.Test) {
			t.Errorf("%s: %s is not among the tests that HAZARDS.md names: %v", c.Hazard, c.Test, hazards[c.Hazard])
		}
		b, err := os.ReadFile(filepath.Join(root, c.File))
		if err != nil {
			t.Errorf("%s: %v", c.Hazard, err)
			continue
		}
		if n := bytes.Count(b, c.Old); n != 1 || bytes.Equal(c.Old, c.New) {
			t.Errorf("%s: the text of the control stands %d times in %s", c.Hazard, n, c.File)
		}
	}
	for h := range hazards {
		if !have[h] {
			t.Errorf("%s has no control that can be taken out", h)
		}
	}
}

func TestTakingOutChangesTheOnePlaceOrNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.go")
	c := Control{Hazard: "H-001", File: "a.go", Old: []byte("if bad {\n"), New: []byte("if false {\n")}
	for name, x := range map[string]struct{ text, want string }{
		"once":  {"x\nif bad {\ny\n", "x\nif false {\ny\n"},
		"never": {"x\n", ""},
		"twice": {"if bad {\nif bad {\n", ""},
	} {
		if err := os.WriteFile(path, []byte(x.text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := c.TakeOut(dir)
		got, readErr := os.ReadFile(path)
		if readErr != nil {
			t.Fatal(readErr)
		}
		if (err == nil) != (x.want != "") || err == nil && string(got) != x.want || err != nil && string(got) != x.text {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
