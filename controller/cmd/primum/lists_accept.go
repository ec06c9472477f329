package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	list "primum/safetylists"
	"primum/safetylists/release"
)

type listAcceptCommand struct {
	Dir  string `arg:"" help:"Repository folder."`
	From string `arg:"" help:"What came back: the manufacturer's copy of the repository folder."`
	Role string `arg:"" help:"Name of the manufacturer, as it was delegated."`
}

// Run takes the answer in and says what it changes. It is in force with the next release.
func (c *listAcceptCommand) Run(e *env) error {
	from, err := readFolder(c.From)
	if err != nil {
		return err
	}
	return change(c.Dir, func(b release.Bundle) error {
		before, err := listOf(b, c.Role)
		if err != nil {
			return err
		}
		if err := b.Accept(c.Role, from, time.Now()); err != nil {
			return input("%v; nothing was changed", err)
		}
		after, err := listOf(b, c.Role)
		if err != nil {
			return err
		}
		if err := e.changes(list.Diff(before, after)); err != nil || e.json {
			return err
		}
		e.say("Taken. It is in force with the next release: primum list release, then timestamp and publish.")
		return nil
	})
}

// listOf compiles the files of one role.
func listOf(b release.Bundle, role string) (*list.List, error) {
	var files []*list.File
	for _, path := range slices.Sorted(maps.Keys(b.Targets)) {
		if !strings.HasPrefix(path, "manufacturers/"+role+"/") && !(role == release.Board && strings.HasPrefix(path, release.Board+"/")) {
			continue
		}
		f, err := list.Load(path, b.Targets[path])
		if err != nil {
			return nil, input("%v", err)
		}
		files = append(files, f)
	}
	return together(files, 0)
}

type listSignOffCommand struct {
	Statement string   `arg:"" help:"Id of the allowance."`
	Key       string   `required:"" help:"File: your approver's key."`
	By        string   `required:"" help:"Your name, as the site file has it."`
	In        []string `help:"List files, folders of them, a repository folder, a bundle, or the word shipped (default). A site file for its own allowances."`
}

// Run shows the allowance as it is signed off, and prints the entry for the site file.
func (c *listSignOffCommand) Run(e *env) error {
	key, err := readKey(c.Key)
	if err != nil {
		return err
	}
	s, err := c.find()
	if err != nil {
		return err
	}
	on := time.Now().UTC().Truncate(24 * time.Hour)
	sig := base64.StdEncoding.EncodeToString(ed25519.Sign(key, list.SignOffText(s.ID, s.Digest, on)))
	fmt.Fprintf(e.err, "%s\n", plain(s.Describe()))
	for _, line := range sources(s) {
		fmt.Fprintf(e.err, "  source: %s\n", plain(line))
	}
	digest, day := fmt.Sprintf("%x", s.Digest), on.Format(time.DateOnly)
	return e.data(map[string]string{"statement": s.ID, "digest": digest, "on": day, "by": c.By, "signature": sig}, func() {
		e.say("- statement: %s", s.ID)
		e.say("  digest: %s", digest)
		e.say("  on: %q", day)
		e.say("  by: [%q]", c.By)
		e.say("  signatures: {%q: %s}", c.By, sig)
	})
}

// find looks in list files, and in the statements of a site file.
func (c *listSignOffCommand) find() (*list.Statement, error) {
	for _, path := range defaultLists(c.In) {
		var all []*list.Statement
		if strings.HasPrefix(c.Statement, "site.") {
			text, err := readListFile(path)
			if err != nil {
				return nil, err
			}
			if all, err = list.SiteStatements(text); err != nil {
				return nil, input("%s: %v", path, err)
			}
		} else {
			files, err := readLists([]string{path})
			if err != nil {
				return nil, err
			}
			for _, f := range files {
				all = append(all, f.Statements...)
			}
		}
		if k := slices.IndexFunc(all, func(s *list.Statement) bool { return s.ID == c.Statement && s.Type == list.Allow }); k >= 0 {
			return all[k], nil
		}
	}
	return nil, input("there is no allowance %s in %s", c.Statement, strings.Join(defaultLists(c.In), ", "))
}
