package main

import (
	"fmt"
	"strings"
	"time"

	list "primum/safetylists"
)

type listNewCommand struct {
	File  string `arg:"" help:"File that is made."`
	Maker string `required:"" help:"Maker of the product."`
	Model string `required:"" help:"Model."`
	Type  string `default:"allow" enum:"allow,deny" help:"allow or deny."`
}

const newHead = `# %s, %s. Change everything that stands between angle brackets, then: primum list lint FILE
schema: primum-list/1
name: %s
maker: %q
dated: %q
statements:
  - id: %s.%s
    type: %s
    product:
      manufacturers: [%q]
      models: [%q]
      versions: {compare: listed, is: ["<version as the device shows it>"]}
`

const newAllow = `    purpose: identify
    question:
      kind: snmp.get
      port: "161"
      oids: [1.3.6.1.2.1.1.1.0, 1.3.6.1.2.1.1.2.0, 1.3.6.1.2.1.1.3.0, 1.3.6.1.2.1.1.5.0]
    limits: {rest: 24h, gap: 5s}
    clinical_state: out_of_use
    ending: none
    expires: %q
`

const newDeny = `    trigger:
      class: unknown
      words: "<what sets it off>"
    effect:
      classes: [unknown]
      words: "<what happens to the device>"
    words: "<what a technician should know>"
`

const newTail = `    evidence:
      - kind: "<manufacturer-letter, government-advisory, ...>"
        title: "<title>"
        publisher: "<publisher>"
        date: "<date>"
        address: "<where it is>"
        says: "<what it says, in your own words>"
        seen: full
        provenance: "<who served the copy that was read>"
examples:
  - device: {maker: %q, model: %q, version: "<version as the device shows it>"}
    ask: {kind: snmp.get}
    expect: %s
    by: [%s.%s]
  - device: {maker: %q, model: %q, version: "<another version>"}
    ask: {kind: snmp.get}
    expect: %s
`

// Run writes a file to begin with.
func (c *listNewCommand) Run(e *env) error {
	slug := func(s string) string {
		return strings.Trim(strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				return r
			}
			return '-'
		}, list.Plain(s)), "-")
	}
	maker, model := slug(c.Maker), slug(c.Model)
	if maker == "" || model == "" {
		return input("--maker and --model need letters or digits, not %q %q", c.Maker, c.Model)
	}
	now := time.Now()
	expect, other, middle := "ALLOWED", "VERSION_OUTSIDE", fmt.Sprintf(newAllow, now.AddDate(1, 0, 0).Format(time.DateOnly))
	if c.Type == "deny" {
		expect, other, middle = "DENIED", "NOT_APPROVED", newDeny
	}
	text := fmt.Sprintf(newHead, oneLine(c.Maker), oneLine(c.Model), maker+"-"+model, c.Maker, now.Format(time.DateOnly), maker, model, c.Type, c.Maker, c.Model) + middle +
		fmt.Sprintf(newTail, c.Maker, c.Model, expect, maker, model, c.Maker, c.Model, other)
	if err := writeMode(c.File, text, 0o644); err != nil {
		return err
	}
	return e.data(map[string]string{"file": c.File}, func() {
		e.say("%s is made. Change what stands between angle brackets, then: primum list lint %s", c.File, c.File)
	})
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

type listLintCommand struct {
	Files []string `arg:"" help:"List files, folders of them, or the word shipped."`
}

// Run reads files as a careful reader would, and says what should be mended before they are signed.
func (c *listLintCommand) Run(e *env) error {
	files, faults, err := loadLists(c.Files)
	if err != nil {
		return err
	}
	var found []string
	statements := 0
	for _, f := range files {
		statements += len(f.Statements)
		for _, finding := range append(f.Lint(), f.Ended(time.Now())...) {
			found = append(found, f.Path+": "+finding.String())
		}
	}
	var apart error
	if len(faults) == 0 {
		_, apart = together(files, 0)
	}
	err = e.data(map[string]any{"files": len(files), "statements": statements, "findings": found}, func() {
		for _, f := range found {
			e.say("%s", f)
		}
		if len(found)+len(faults) == 0 && apart == nil {
			e.say("%s in %s: nothing to mend.", count(statements, "statement"), count(len(files), "file"))
		}
	})
	switch {
	case err != nil:
		return err
	case len(faults) > 0:
		return input("%s", strings.Join(faults, "; "))
	case apart != nil:
		return apart
	case len(found) > 0:
		return input("%s should be mended before these files are signed.", count(len(found), "thing"))
	}
	return nil
}

type listTestCommand struct {
	Files []string `arg:"" help:"List files, folders of them, or the word shipped."`
}

// Run tries every example, alone with its file and then among all the files. A denial of one file may
// refuse what another allows: that is said, and is no failure.
func (c *listTestCommand) Run(e *env) error {
	files, err := readLists(c.Files) // loading tries each file's examples with that file alone
	if err != nil {
		return err
	}
	all, err := together(files, 2)
	if err != nil {
		return err
	}
	tried := 0
	var differ []string
	for _, f := range files {
		for _, x := range f.Examples {
			tried++
			dec := all.Decide(x.Device, x.Query, dated(f))
			switch {
			case dec.Allowed() && x.Expect != list.Allowed:
				return input("%s: an example that its own file refuses (%s) is allowed among all files, by %s", f.Path, x.Expect, strings.Join(dec.Statements, " "))
			case dec.Reason != x.Expect:
				differ = append(differ, fmt.Sprintf("%s: %s is %s alone and %s among all files, by %s", f.Path, exampleName(x), x.Expect, dec.Reason, strings.Join(dec.Statements, " ")))
			}
		}
	}
	if tried == 0 {
		return input("the files have no examples: there is nothing to try")
	}
	return e.data(map[string]any{"files": len(files), "examples": tried, "differ": differ}, func() {
		for _, d := range differ {
			e.say("%s", d)
		}
		e.say("%s of %s tried; each is as expected.", count(tried, "example"), count(len(files), "file"))
	})
}

func dated(f *list.File) time.Time {
	at, err := time.Parse(time.DateOnly, f.Dated)
	if err != nil { // Load has read it
		return time.Now()
	}
	return at
}

func exampleName(x list.Example) string {
	name := x.Query.String() + " to a device of nothing known"
	if len(x.Device.Claims) > 0 {
		c := x.Device.Claims[0]
		name = strings.Join(strings.Fields(x.Query.String()+" to "+c.Manufacturer+" "+c.Model+" "+c.Version), " ")
	}
	return name
}

type listDiffCommand struct {
	Before string `arg:"" help:"List file, folder of them, repository folder, bundle, or the word shipped."`
	After  string `arg:"" help:"The same, newer."`
}

// Run says what became wider and what became narrower.
func (c *listDiffCommand) Run(e *env) error {
	before, err := asItStands(c.Before)
	if err != nil {
		return err
	}
	after, err := asItStands(c.After)
	if err != nil {
		return err
	}
	return e.changes(list.Diff(before, after))
}

func (e *env) changes(all []list.Change) error {
	type change struct {
		Statement string     `json:"statement"`
		Sense     list.Sense `json:"sense"`
		Says      string     `json:"says"`
	}
	out := []change{}
	for _, x := range all {
		out = append(out, change(x))
	}
	return e.data(map[string]any{"changes": out}, func() { e.differences(all) })
}

func (e *env) differences(all []list.Change) {
	if len(all) == 0 {
		e.say("Nothing differs.")
		return
	}
	heads := map[list.Sense]string{list.Wider: "MAY BE ASKED NOW, AND MIGHT NOT BEFORE", list.Narrower: "IS REFUSED NOW, OR ASKED LESS", list.Same: "DECIDES NOTHING"}
	var last list.Sense
	for _, x := range all {
		if x.Sense != last {
			e.say("%s", heads[x.Sense])
			last = x.Sense
		}
		e.say("  %s: %s", x.Statement, x.Says)
	}
	e.say("An allowance whose text has changed counts as not signed off until a site's persons have signed off the new text.")
}

type listSearchCommand struct {
	Words []string `arg:"" help:"Words that a statement must have, in any order: a maker, a model, an advisory's number."`
	In    []string `help:"List files, folders of them, or the word shipped (default)."`
}

// Run prints the statements that have all the words, with their evidence.
func (c *listSearchCommand) Run(e *env) error {
	files, err := readLists(defaultLists(c.In))
	if err != nil {
		return err
	}
	type statement struct {
		ID      string    `json:"id"`
		Type    list.Type `json:"type"`
		File    string    `json:"file"`
		Says    string    `json:"says"`
		Words   string    `json:"words,omitempty"`
		Sources []string  `json:"sources"`
	}
	var found []statement
	for _, f := range files {
		for _, s := range f.Statements {
			if has(s, c.Words) {
				found = append(found, statement{s.ID, s.Type, f.Name, s.Describe(), s.Words, sources(s)})
			}
		}
	}
	if len(found) == 0 {
		return input("no statement has all of: %s. That a product is not named means that nothing may be asked of it.", strings.Join(c.Words, " "))
	}
	return e.data(map[string]any{"statements": found}, func() {
		for _, s := range found {
			e.say("%s (%s, %s)", s.ID, string(s.Type), s.File)
			e.say("  %s", s.Says)
			if s.Words != "" {
				e.say("  %s", s.Words)
			}
			for _, line := range s.Sources {
				e.say("  source: %s", line)
			}
		}
	})
}

func has(s *list.Statement, words []string) bool {
	text := list.Plain(s.ID + " " + s.Describe() + " " + s.Words + " " + strings.Join(sources(s), " "))
	for _, w := range words {
		if !strings.Contains(text, list.Plain(w)) {
			return false
		}
	}
	return true
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
