// Package controls knows, for each hazard, the smallest change that takes its control out of the code, and the
// test that has to go red when that is done. A test that stays green without its control proves nothing.
//
// "make controls" tries every one in a copy of the tree; the tests of this package hold the files to
// HAZARDS.md and to the code as it stands.
package controls

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Control is one control, and what takes it out.
type Control struct {
	Hazard  string // H-001
	Package string // of the test, as go test takes it
	Test    string
	File    string // that holds the control
	Old     []byte // stands in it exactly once
	New     []byte
}

// Read reads the controls in dir, each from a file "H-001.control": a head of "name: value" lines, and the
// texts old and new.
func Read(dir string) ([]Control, error) {
	files, err := filepath.Glob(filepath.Join(dir, "H-*.control"))
	if err != nil {
		return nil, err
	}
	var out []Control
	for _, f := range files {
		c, err := read(f)
		if err != nil {
			return nil, fmt.Errorf("control %s: %w", filepath.Base(f), err)
		}
		out = append(out, c)
	}
	return out, nil
}

func read(path string) (Control, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Control{}, err
	}
	head, rest, hasOld := bytes.Cut(b, []byte("-- old --\n"))
	was, is, hasNew := bytes.Cut(rest, []byte("-- new --\n"))
	if !hasOld || !hasNew {
		return Control{}, fmt.Errorf("it lacks the part old or the part new")
	}
	hazard, _, _ := strings.Cut(filepath.Base(path), ".")
	c := Control{Hazard: hazard, Old: was, New: is}
	for line := range strings.Lines(string(head)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		to := map[string]*string{"package": &c.Package, "test": &c.Test, "file": &c.File}[name]
		if !ok || to == nil {
			return Control{}, fmt.Errorf("%q is not package, test or file with its value", strings.TrimSpace(line))
		}
		*to = value
	}
	if c.Package == "" || c.Test == "" || c.File == "" || len(c.Old) == 0 {
		return Control{}, fmt.Errorf("package, test, file and old are required")
	}
	return c, nil
}

// TakeOut writes the file of the control without it, below root.
func (c Control) TakeOut(root string) error {
	path := filepath.Join(root, filepath.FromSlash(c.File))
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if n := bytes.Count(b, c.Old); n != 1 {
		return fmt.Errorf("%s: the text of the control stands there %d times, not once: the code has changed, and %s.control has not", c.File, n, c.Hazard)
	}
	return os.WriteFile(path, bytes.Replace(b, c.Old, c.New, 1), 0o600)
}

var row = regexp.MustCompile(`(?m)^\| (H-\d{3}) \|.*\| ([^|]+) \|$`)

// Hazards returns the hazards of HAZARDS.md with the tests that their rows name.
func Hazards(text []byte) map[string][]string {
	out := map[string][]string{}
	for _, m := range row.FindAllSubmatch(text, -1) {
		for _, test := range strings.Split(string(m[2]), ",") {
			out[string(m[1])] = append(out[string(m[1])], strings.TrimSpace(test))
		}
	}
	return out
}
