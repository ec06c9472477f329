package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"

	adminv1 "primum/proto/admin/v1"
	list "primum/safetylists"
	"primum/safetylists/permit"
	"primum/safetylists/release"
)

type listCommands struct {
	Publish listPublishCommand `cmd:"" help:"Give the controller a signed release."`
	Show    listShowCommand    `cmd:"" help:"Show the release in force."`
	Release listReleaseCommand `cmd:"" help:"Make a signed release of list files and a site file."`
	Digests listDigestsCommand `cmd:"" help:"Print each allowance's digest, which a sign-off in the site file names."`
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
		return err
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

type keyCommands struct {
	New keyNewCommand `cmd:"" help:"Make a key pair."`
}

type keyNewCommand struct {
	Out string `required:"" help:"File for the private key; the public one goes into the same name with .pub."`
}

// Run makes a key pair.
func (c *keyNewCommand) Run(e *env) error {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	if err := writeNew(c.Out, permit.FormatPrivate(key)+"\n"); err != nil {
		return err
	}
	if err := os.WriteFile(c.Out+".pub", []byte(permit.FormatPublic(pub)+"\n"), 0o644); err != nil {
		return err
	}
	e.say("%s", permit.FormatPublic(pub))
	return nil
}

type standingCommands struct {
	Create standingCreateCommand `cmd:"" help:"Sign a standing approval and give it to the controller."`
	List   standingListCommand   `cmd:"" help:"List standing approvals."`
}

type standingCreateCommand struct {
	ID        string   `required:"" help:"Short name."`
	Caller    string   `required:"" help:"Name of the token that may ask."`
	Device    []string `required:"" help:"Asset tag, may be given again; * is every device of the site."`
	Statement []string `required:"" help:"Allowance, may be given again. Each is named: a new one is not approved unread."`
	PerDay    int      `required:"" help:"Questions in 24 hours."`
	Days      int      `default:"30" help:"Days until it ends, at most 30."`
	Key       string   `required:"" help:"File: the approver's private key."`
	By        string   `required:"" help:"Name of the approver in the site file."`
}

// Run signs.
func (c *standingCreateCommand) Run(e *env) error {
	key, err := readKey(c.Key)
	if err != nil {
		return err
	}
	cl, err := e.dial()
	if err != nil {
		return err
	}
	rel, err := call(adminv1.NewListServiceClient(cl.conn).GetRelease, &adminv1.GetReleaseRequest{})
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Second)
	s := permit.Standing{ID: c.ID, Site: rel.GetSite(), Caller: c.Caller, Devices: c.Device, Statements: c.Statement, From: now, Until: now.AddDate(0, 0, c.Days), PerDay: c.PerDay}
	if copy(s.List[:], rel.GetDigest()) != len(s.List) {
		return fmt.Errorf("the controller gave no digest of the release in force")
	}
	doc, err := s.Encode()
	if err != nil {
		return err
	}
	if _, _, err := permit.DecodeStanding(doc); err != nil {
		return input("%v", err)
	}
	r, err := call(adminv1.NewPlanServiceClient(cl.conn).CreateStandingApproval, &adminv1.CreateStandingApprovalRequest{Document: doc,
		Signatures: []*adminv1.ApprovalSignature{{By: c.By, Signature: permit.Sign(permit.DomainStanding, key, doc)}}})
	if err != nil {
		return err
	}
	return e.show(r, func() { e.standing(r) })
}

func (e *env) standing(r *adminv1.StandingApproval) {
	e.say("%s: %s may ask %d questions a day until %s", short(r.GetName()), r.GetCaller(), r.GetPerDay(), when(r.GetUntil()))
}

type standingListCommand struct{}

// Run lists.
func (c *standingListCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	all, err := pages(func(token string) ([]*adminv1.StandingApproval, string, error) {
		r, err := call(adminv1.NewPlanServiceClient(cl.conn).ListStandingApprovals, &adminv1.ListStandingApprovalsRequest{PageToken: token})
		return r.GetStandingApprovals(), r.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return e.show(&adminv1.ListStandingApprovalsResponse{StandingApprovals: all}, func() {
		for _, s := range all {
			e.standing(s)
		}
	})
}
