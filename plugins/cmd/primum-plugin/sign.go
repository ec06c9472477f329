package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"primum/plugins/manifest"
	"primum/plugins/sandbox"
	"primum/plugins/sandbox/confine"
	"primum/plugins/sdk/sdktest"
)

type signCommand struct {
	Binary string `arg:"" help:"The plugin."`
	Key    string `required:"" help:"File: the maker's private key."`
	Report string `help:"File: the JSON report of primum-plugin certify for this binary. The signature covers it too."`
	secretFlag
}

// Run asks the binary, in the sandbox, what it is, and signs that.
func (c *signCommand) Run(e *env) error {
	if err := program(c.Binary); err != nil {
		return err
	}
	binary, err := os.ReadFile(c.Binary)
	if err != nil {
		return err
	}
	m := manifest.Manifest{SHA256: sha256.Sum256(binary)}
	if c.Report != "" {
		if m.Report, _, err = reportFor(c.Report, m.SHA256); err != nil {
			return err
		}
	}
	path := c.Binary + ".manifest"
	if c.Report == "" && certifiedBefore(path, m.SHA256) {
		return fmt.Errorf("%s is certified, for this same binary; give its --report again, or remove that manifest first if it is meant", path)
	}
	if err := describe(c.Binary, &m); err != nil {
		return err
	}
	maker, ok := manifest.MakerOf(m.Kinds[0])
	if !ok {
		return fmt.Errorf("it speaks %q; a maker signs for its own questions alone, such as tcp.MAKER.status", m.Kinds[0])
	}
	m.Maker = maker
	key, err := openKey(e, c.Key, c.secretFlag)
	if err != nil {
		return err
	}
	signed, err := manifest.Sign(m, key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, signed.Encode(), 0o644); err != nil {
		return err
	}
	e.say("%s %s of %s, which speaks %s, is signed in %s; %s.", m.Name, m.Version, m.Maker, strings.Join(m.Kinds, ", "), path, m.Certified())
	return nil
}

// certifiedBefore reports whether there is a manifest of the same binary with a report, which a person would miss.
func certifiedBefore(path string, binary [sha256.Size]byte) bool {
	text, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	s, err := manifest.Parse(text)
	return err == nil && s.Unverified().SHA256 == binary && s.Unverified().Report != ([sha256.Size]byte{})
}

// describe starts the author's own plugin as well confined as this machine can.
func describe(path string, m *manifest.Manifest) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "sign")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p, err := sandbox.Start(ctx, sandbox.Spec{Path: path, SHA256: m.SHA256, Dir: dir, Trust: sandbox.BuiltIn, Confinement: sandbox.Prove(ctx, ""), Unconfined: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	d, err := p.Describe(ctx)
	if err != nil {
		return err
	}
	m.Name, m.Version, m.Kinds = d.GetName(), d.GetVersion(), d.GetKinds()
	return nil
}

// reportFor returns a report that passed, of that binary, and its SHA-256.
func reportFor(path string, binary [sha256.Size]byte) (sum [sha256.Size]byte, r sdktest.Report, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return sum, r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return sum, r, fmt.Errorf("%s is no report of primum-plugin certify: %w", path, err)
	}
	switch {
	case r.SHA256 != fmt.Sprintf("%x", binary):
		return sum, r, fmt.Errorf("%s is about another binary", path)
	case !r.Passed || len(r.Findings) != 0:
		return sum, r, fmt.Errorf("%s says that the plugin did not pass", path)
	}
	return sha256.Sum256(text), r, nil
}

// covers says what a report tried.
func covers(r sdktest.Report) string {
	n, transcripts := 0, "1 transcript"
	for _, c := range r.Checks {
		n += c.Conversations
	}
	if len(r.Transcripts) != 1 {
		transcripts = fmt.Sprintf("%d transcripts", len(r.Transcripts))
	}
	level := "unknown"
	if l := confine.Level(r.Sandbox); slices.Contains([]confine.Level{confine.Full, confine.Fallback, confine.None}, l) {
		level = r.Sandbox
	}
	return fmt.Sprintf("it covers %d conversations over %s, in a sandbox of level %s, on %s", n, transcripts, level, r.At.Format(time.DateOnly))
}

type verifyCommand struct {
	Binary   string `arg:"" help:"The plugin."`
	Key      string `required:"" help:"File: the maker's public key."`
	Manifest string `help:"Its manifest. Defaults to BINARY.manifest."`
	Report   string `help:"File: the report that has to be the signed one."`
}

// Run verifies. Nothing is executed.
func (c *verifyCommand) Run(e *env) error {
	if c.Manifest == "" {
		c.Manifest = c.Binary + ".manifest"
	}
	line, err := os.ReadFile(c.Key)
	if err != nil {
		return err
	}
	key, err := manifest.ParseKey(line)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(c.Manifest)
	if err != nil {
		return err
	}
	signed, err := manifest.Parse(text)
	if err != nil {
		return err
	}
	m, err := signed.Verify(key)
	if err != nil {
		return err
	}
	binary, err := os.ReadFile(c.Binary)
	if err != nil {
		return err
	}
	if sha256.Sum256(binary) != m.SHA256 {
		return fmt.Errorf("%s is not the binary that was signed: its SHA-256 is %x, the manifest has %x", c.Binary, sha256.Sum256(binary), m.SHA256)
	}
	tried := ""
	beside := c.Binary + ".report.json" // where certify writes it
	if _, err := os.Stat(beside); c.Report == "" && err == nil && m.Report != ([sha256.Size]byte{}) {
		c.Report = beside
	}
	if c.Report != "" {
		sum, r, err := reportFor(c.Report, m.SHA256)
		if err != nil {
			return err
		}
		if sum != m.Report {
			return fmt.Errorf("%s is not the report that was signed", c.Report)
		}
		tried = covers(r)
	}
	e.say("%s %s of %s, signed by %s", m.Name, m.Version, m.Maker, manifest.Fingerprint(key))
	words := m.Certified()
	switch {
	case c.Report != "":
		words += ", which is " + c.Report + "; " + tried
	case m.Report != ([sha256.Size]byte{}):
		words += "; it is not here, ask the maker for it and name it with --report"
	}
	e.say("%s", words)
	return nil
}
