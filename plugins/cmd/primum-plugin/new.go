package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"primum/plugins/manifest"
)

type newCommand struct {
	Name   string `arg:"" help:"The maker as it stands in its questions, 2 to 32 lower-case letters and digits, a letter first: acme for tcp.acme.status."`
	Out    string `help:"Folder to make. Defaults to primum-probe-NAME."`
	Primum string `default:"." help:"Folder of the Primum tree, from which the SDK comes."`
}

// example is what a new module is a copy of. It is built and tested with the tree, so that the copy works.
const example = "plugins/example"

// Run copies the example under another name.
func (c *newCommand) Run(e *env) error {
	if !regexp.MustCompile(`^[a-z][a-z0-9]{1,31}$`).MatchString(c.Name) {
		return fmt.Errorf("%q: 2 to 32 lower-case letters and digits, a letter first", c.Name)
	}
	if manifest.Protocol(c.Name) {
		return fmt.Errorf("%q is a protocol, and its probe comes with the agent; give the maker's name", c.Name)
	}
	if c.Out == "" {
		c.Out = "primum-probe-" + c.Name
	}
	tree, err := filepath.Abs(c.Primum)
	if err != nil {
		return err
	}
	from := filepath.Join(tree, example)
	if _, err := os.Stat(filepath.Join(from, "go.mod")); err != nil {
		return fmt.Errorf("%s is not the Primum tree; name it with --primum", tree)
	}
	if err := os.Mkdir(c.Out, 0o755); err != nil {
		return err // what is there is never written over
	}
	title := strings.ToUpper(c.Name[:1]) + c.Name[1:]
	rename := strings.NewReplacer(`The signed allowance
(`+"`plugins/lab/lists/aldane.yaml`"+`) has both as templates; the agent sends what fits them and nothing else.`,
		"The agent\nsends what fits the templates of a signed allowance and nothing else. There is none for this question yet: write one as\n"+
			"`plugins/lab/lists/aldane.yaml` of the Primum tree does, and try it with `primum list lint` and `primum list test`.",
		"Aldane Medical", title, "aldane", c.Name, "Aldane", title, "=> ../..", "=> "+tree)
	err = filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil || name == "." {
			return err
		}
		to := filepath.Join(c.Out, rename.Replace(name))
		if d.IsDir() {
			return os.Mkdir(to, 0o755)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if filepath.Base(path) != "go.sum" {
			text = []byte(rename.Replace(string(text)))
		}
		return os.WriteFile(to, text, 0o644)
	})
	if err != nil {
		return errors.Join(err, os.RemoveAll(c.Out))
	}
	e.say("The module is in %s. Next: cd %s && go test ./...", c.Out, c.Out)
	return nil
}
