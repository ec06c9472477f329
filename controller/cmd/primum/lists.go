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
	Publish   listPublishCommand   `cmd:"" help:"Give the controller a release: a bundle, or a repository folder."`
	Show      listShowCommand      `cmd:"" help:"Show the release in force."`
	Key       listKeyCommand       `cmd:"" help:"Make the key of a person who signs, or of the publisher job, with a passphrase."`
	Init      listInitCommand      `cmd:"" help:"Make a repository folder: a root, the safety board, the site. Nothing is signed yet."`
	Delegate  listDelegateCommand  `cmd:"" help:"Let a manufacturer speak for its own products."`
	Sign      listSignCommand      `cmd:"" help:"Sign what a role says, as it lies in the folder."`
	Release   listReleaseCommand   `cmd:"" help:"Make a release of what was signed."`
	Timestamp listTimestampCommand `cmd:"" help:"The publisher job: say that the release is still the newest, for a week at most."`
	Verify    listVerifyCommand    `cmd:"" help:"Verify a bundle or folder from a root on, and say what is in it."`
	Demo      listDemoCommand      `cmd:"" help:"For a demonstration only: make all keys and a whole release at one go."`
	Digests   listDigestsCommand   `cmd:"" help:"Print each allowance's digest, which a sign-off in the site file names."`

	Accept  listAcceptCommand  `cmd:"" help:"Take what a manufacturer has signed in its copy of the repository."`
	SignOff listSignOffCommand `cmd:"" name:"signoff" help:"Sign off an allowance for your site: prints what goes into the site file."`
	New     listNewCommand     `cmd:"" help:"Make a list file to begin with."`
	Lint    listLintCommand    `cmd:"" help:"Say what should be mended in list files before they are signed."`
	Test    listTestCommand    `cmd:"" help:"Try the examples of list files."`
	Diff    listDiffCommand    `cmd:"" help:"Say what newer list files allow that older ones did not, and the other way round."`
	Explain listExplainCommand `cmd:"" help:"Decide about a device that is described here, without a controller."`
	Search  listSearchCommand  `cmd:"" help:"Find statements by their words."`
	Request listRequestCommand `cmd:"" help:"Write to the manufacturer of a model that nobody has approved."`
}

type listPublishCommand struct {
	Bundle string `arg:"" help:"Bundle file, or repository folder."`
}

// Run publishes.
func (c *listPublishCommand) Run(e *env) error {
	b, err := readBundle(c.Bundle)
	if err != nil {
		return err
	}
	return e.publish(b)
}

func (e *env) publish(b []byte) error {
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

type listVerifyCommand struct {
	Path string `arg:"" help:"Bundle file, or repository folder."`
	Root string `required:"" help:"File: the root that is believed."`
}

// Run verifies, as an agent that has seen nothing but the root.
func (c *listVerifyCommand) Run(e *env) error {
	b, err := readBundle(c.Path)
	if err != nil {
		return err
	}
	root, err := os.ReadFile(c.Root)
	if err != nil {
		return input("the root cannot be read: %v", err)
	}
	m, err := release.NewMemory(root)
	if err != nil {
		return input("%s: %v", c.Root, err)
	}
	r, _, err := release.Open(b, m, time.Now())
	if err != nil {
		return refusedError{"The release is refused: " + err.Error()}
	}
	return e.verified(r)
}

// verified says what is in a release.
func (e *env) verified(r *release.Release) error {
	n := map[list.Type]int{}
	for _, s := range r.List.Statements() {
		n[s.Type]++
	}
	type role struct {
		Name      string    `json:"name"`
		Version   int64     `json:"version"`
		Expires   time.Time `json:"expires"`
		Threshold int       `json:"threshold"`
		Keys      int       `json:"keys"`
		Files     int       `json:"files"`
	}
	var roles []role
	for _, x := range r.Roles {
		roles = append(roles, role{x.Name, x.Version, x.Expires, x.Threshold, len(x.Keys), len(x.Files)})
	}
	return e.data(map[string]any{"number": r.Number, "timestamp": r.Timestamp, "site": r.List.Site().Name, "policy": r.List.Site().Policy, "statements": len(r.List.Statements()),
		"allow": n[list.Allow], "deny": n[list.Deny], "issued": r.Issued, "expires": r.Expires, "digest": r.Digest.String(), "roles": roles, "notes": r.Findings},
		func() { e.contentOf(r, n) })
}

func (e *env) contentOf(r *release.Release, n map[list.Type]int) {
	e.say("Release %d, timestamp %d, for site %s (%s policy): %d statements, %d of them allow and %d deny.", r.Number, r.Timestamp, r.List.Site().Name,
		string(r.List.Site().Policy), len(r.List.Statements()), n[list.Allow], n[list.Deny])
	e.say("Issued %s, ends %s.", moment(r.Issued), moment(r.Expires))
	e.say("Digest %s", r.Digest.String())
	for _, role := range r.Roles {
		e.say("  %s version %d until %s: %d of %s, %s", role.Name, role.Version, moment(role.Expires), role.Threshold, count(len(role.Keys), "key"), count(len(role.Files), "file"))
	}
	for _, f := range r.Findings {
		e.say("  Note: %s.", f)
	}
}

type listDigestsCommand struct {
	Files []string `arg:"" help:"List files."`
}

// Run prints digests.
func (c *listDigestsCommand) Run(e *env) error {
	type digest struct {
		Statement string `json:"statement"`
		Digest    string `json:"digest"`
	}
	var all []digest
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
				all = append(all, digest{s.ID, hex.EncodeToString(s.Digest[:])})
			}
		}
	}
	return e.data(map[string]any{"digests": all}, func() {
		for _, d := range all {
			e.say("%s %s", d.Statement, d.Digest)
		}
	})
}
