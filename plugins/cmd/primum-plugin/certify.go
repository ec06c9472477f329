package main

import (
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"primum/plugins/sandbox"
	"primum/plugins/sdk/sdktest"
)

type certifyCommand struct {
	Binary      string        `arg:"" help:"The plugin."`
	Transcripts []string      `required:"" name:"transcript" help:"File: a recorded conversation that was answered, one for each question that the plugin speaks."`
	Out         string        `help:"Name of the report without its ending. Defaults to BINARY.report; .json and .md are written."`
	Most        time.Duration `default:"5m" help:"Time for the whole suite."`
}

// Run certifies. It fails when the plugin did not pass; the report is written all the same.
func (c *certifyCommand) Run(e *env) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.Most)
	defer cancel()
	all := map[string]sdktest.Transcript{}
	for _, path := range c.Transcripts {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if all[path], err = sdktest.ParseTranscript(text); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := program(c.Binary); err != nil {
		return err
	}
	r, err := sdktest.Certify(ctx, sdktest.Subject{Binary: c.Binary, Transcripts: all, Confinement: sandbox.Prove(ctx, "")})
	if err != nil {
		return err
	}
	if c.Out == "" {
		c.Out = c.Binary + ".report"
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(c.Out+".json", append(text, '\n'), 0o644), os.WriteFile(c.Out+".md", []byte(markdown(r)), 0o644)); err != nil {
		return err
	}
	e.say("%s", markdown(r))
	if !r.Passed {
		if len(r.Findings) == 1 {
			return fmt.Errorf("%s did not pass: 1 finding", c.Binary)
		}
		return fmt.Errorf("%s did not pass: %d findings", c.Binary, len(r.Findings))
	}
	return nil
}

// program fails when a file is none that this machine could start. This program itself tells what machine it is.
func program(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no file; name the plugin that was built", path)
	}
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("%s is no program (ELF): build the plugin, as with go build, and name what was built: %w", path, err)
	}
	defer f.Close()
	own, err := elf.Open("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("read what machine this is: %w", err)
	}
	defer own.Close()
	switch {
	case f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN:
		return fmt.Errorf("%s is no program (ELF) but a part of one: build the whole plugin, as with go build, and name what was built", path)
	case f.Machine != own.Machine:
		return fmt.Errorf("%s is built for another machine (%s); this one runs %s", path, f.Machine, own.Machine)
	}
	return nil
}

// markdown is the report for people. What the plugin said stands there as code, its marks taken out.
func markdown(r sdktest.Report) string {
	quote := func(s string) string {
		return "`" + strings.NewReplacer("`", "'", "|", "/", "\n", " ").Replace(s) + "`"
	}
	var b strings.Builder
	verdict := "did not pass"
	if r.Passed {
		verdict = "passed"
	}
	fmt.Fprintf(&b, "# Conformance of %s %s: %s\n\nBinary SHA-256 `%s`. Questions: %s. Sandbox: %s. %s.\n\n| Check | Conversations | Findings |\n|---|---|---|\n",
		quote(r.Plugin), quote(r.Version), verdict, r.SHA256, quote(strings.Join(r.Kinds, ", ")), r.Sandbox, r.At.Format(time.RFC3339))
	total := 0
	for _, c := range r.Checks {
		fmt.Fprintf(&b, "| %s | %d | %d |\n", c.Name, c.Conversations, c.Findings)
		total += c.Conversations
	}
	fmt.Fprintf(&b, "| all | %d | |\n", total)
	if len(r.Findings) > 0 {
		b.WriteString("\n| Fault | Check | What was seen |\n|---|---|---|\n")
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", f.Fault, f.Check, quote(f.Detail))
	}
	b.WriteString("\nTranscripts:\n")
	names := make([]string, 0, len(r.Transcripts))
	for name := range r.Transcripts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "- %s, SHA-256 `%s`\n", quote(name), r.Transcripts[name])
	}
	return b.String()
}
