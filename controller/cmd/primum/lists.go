package main

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"time"

	adminv1 "primum/proto/admin/v1"
	list "primum/safetylists"
	"primum/safetylists/release"
)

type listCommands struct {
	Publish listPublishCommand `cmd:"" help:"Give the controller a signed release."`
	Show    listShowCommand    `cmd:"" help:"Show the release in force."`
	Release listReleaseCommand `cmd:"" help:"Make a signed release of list files and a site file."`
	Digests listDigestsCommand `cmd:"" help:"Print each allowance's digest, which a sign-off in the site file names."`

	New     listNewCommand     `cmd:"" help:"Make a list file to begin with."`
	Lint    listLintCommand    `cmd:"" help:"Say what should be mended in list files before they are signed."`
	Test    listTestCommand    `cmd:"" help:"Try the examples of list files."`
	Diff    listDiffCommand    `cmd:"" help:"Say what newer list files allow that older ones did not, and the other way round."`
	Explain listExplainCommand `cmd:"" help:"Decide about a device that is described here, without a controller."`
	Search  listSearchCommand  `cmd:"" help:"Find statements by their words."`
	Request listRequestCommand `cmd:"" help:"Write to the manufacturer of a model that nobody has approved."`
}

type listPublishCommand struct {
	Bundle string `arg:"" help:"File: the signed release."`
}

// Run publishes.
func (c *listPublishCommand) Run(e *env) error {
	b, err := os.ReadFile(c.Bundle)
	if err != nil {
		return input("the release cannot be read: %v", err)
	}
	cl, err := e.dial()
	if err != nil {
		return err
	}
	r, err := call(adminv1.NewListServiceClient(cl.conn).PublishRelease, &adminv1.PublishReleaseRequest{Bundle: b})
	if err != nil {
		return err
	}
	return e.show(r, func() { e.release(r) })
}

func (e *env) release(r *adminv1.ListRelease) {
	e.say("Release %d for site %s: %d statements, issued %s, ends %s", r.GetNumber(), r.GetSite(), r.GetStatements(), when(r.GetIssued()), when(r.GetExpires()))
	e.say("Digest %s", hex.EncodeToString(r.GetDigest()))
}

type listShowCommand struct{}

// Run shows.
func (c *listShowCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	r, err := call(adminv1.NewListServiceClient(cl.conn).GetRelease, &adminv1.GetReleaseRequest{})
	if err != nil {
		return err
	}
	return e.show(r, func() { e.release(r) })
}

type listReleaseCommand struct {
	Number uint64   `required:"" help:"Number; larger than that of the release in force."`
	Key    string   `required:"" help:"File: private key that releases are signed with."`
	Site   string   `required:"" help:"Site file."`
	Days   int      `default:"30" help:"Days until it ends."`
	Out    string   `required:"" help:"File that is made."`
	Files  []string `arg:"" help:"List files."`
}

// Run makes a release.
func (c *listReleaseCommand) Run(e *env) error {
	key, err := readKey(c.Key)
	if err != nil {
		return err
	}
	site, err := os.ReadFile(c.Site)
	if err != nil {
		return input("the site file cannot be read: %v", err)
	}
	now := time.Now().UTC().Truncate(time.Second)
	if c.Days < 1 {
		return input("--days is %d; a release is good for one day at least", c.Days)
	}
	src := release.Source{Number: c.Number, Issued: now, Expires: now.AddDate(0, 0, c.Days), Site: site, Files: map[string][]byte{}}
	for _, f := range c.Files {
		name := filepath.Base(f)
		if src.Files[name] != nil {
			return input("two files are named %s; rename one", name)
		}
		if src.Files[name], err = os.ReadFile(f); err != nil {
			return input("the list file cannot be read: %v", err)
		}
	}
	bundle, err := release.Make(src, key)
	if err != nil {
		return input("%v", err)
	}
	if err := os.WriteFile(c.Out, bundle, 0o644); err != nil {
		return input("the release cannot be written: %v", err)
	}
	e.say("Release %d of %d files is in %s. To publish: primum list publish %s", c.Number, len(src.Files), c.Out, c.Out)
	return nil
}

type listDigestsCommand struct {
	Files []string `arg:"" help:"List files."`
}

// Run prints digests.
func (c *listDigestsCommand) Run(e *env) error {
	for _, f := range c.Files {
		text, err := os.ReadFile(f)
		if err != nil {
			return input("the list file cannot be read: %v", err)
		}
		parsed, err := list.Load(filepath.Base(f), text)
		if err != nil {
			return input("%v", err)
		}
		for _, s := range parsed.Statements {
			if s.Type == list.Allow {
				e.say("%s %s", s.ID, hex.EncodeToString(s.Digest[:]))
			}
		}
	}
	return nil
}
