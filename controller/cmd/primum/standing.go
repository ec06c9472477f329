package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"time"

	adminv1 "primum/proto/admin/v1"
	"primum/safetylists/permit"
)

type keyCommands struct {
	New keyNewCommand `cmd:"" help:"Make a key pair."`
}

type keyNewCommand struct {
	Out string `required:"" help:"File for the private key; the public one goes into the same name with .pub."`
}

// Run makes a key pair.
func (c *keyNewCommand) Run(e *env) error {
	for _, path := range []string{c.Out, c.Out + ".pub"} {
		if err := free(path); err != nil {
			return err
		}
	}
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
	return e.data(map[string]string{"file": c.Out, "publicKey": permit.FormatPublic(pub)}, func() { e.say("%s", permit.FormatPublic(pub)) })
}

type standingCommands struct {
	Create standingCreateCommand `cmd:"" help:"Sign a standing approval and give it to the controller."`
	List   standingListCommand   `cmd:"" help:"List standing approvals."`
}

type standingCreateCommand struct {
	ID        string   `required:"" help:"Short name: small letters, digits and hyphens."`
	Site      string   `help:"Site; it has to be that of the release in force, which is the default."`
	Caller    string   `required:"" help:"Name of the token that may ask."`
	Device    []string `required:"" sep:"none" help:"Asset tag, may be given again; * is every device of the site."`
	Statement []string `required:"" sep:"none" help:"Allowance, may be given again. Each is named: a new one is not approved unread."`
	PerDay    int      `required:"" help:"Questions in 24 hours."`
	Days      int      `default:"30" help:"Days until it ends, at most 30."`
	Key       []string `required:"" sep:"none" help:"File: an approver's private key. Given again for each further approver."`
	By        []string `required:"" sep:"none" help:"Name of the approver in the site file; as many as keys, in their order."`
}

// Run signs what it shows, for as many approvers as gave their keys.
func (c *standingCreateCommand) Run(e *env) error {
	if len(c.Key) != len(c.By) {
		return input("there are %d keys and %d names; give one --by for each --key", len(c.Key), len(c.By))
	}
	var keys []ed25519.PrivateKey
	for _, path := range c.Key {
		key, err := readKey(path)
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	if c.PerDay < 1 || c.Days < 1 || c.Days > 30 {
		return input("--per-day is %d and --days is %d; at least one question a day, for 1 to 30 days", c.PerDay, c.Days)
	}
	cl, err := e.dial()
	if err != nil {
		return err
	}
	rel, err := call(adminv1.NewListServiceClient(cl.conn).GetRelease, &adminv1.GetReleaseRequest{})
	if err != nil {
		return err
	}
	if c.Site != "" && c.Site != rel.GetSite() {
		return input("--site is %q, but the release in force is for site %q; nothing was signed", c.Site, rel.GetSite())
	}
	now := time.Now().UTC().Truncate(time.Second)
	s := permit.Standing{ID: strings.TrimPrefix(c.ID, "standingApprovals/"), Site: rel.GetSite(), Caller: c.Caller, Devices: tags(c.Device),
		Statements: c.Statement, From: now, Until: now.AddDate(0, 0, c.Days), PerDay: c.PerDay}
	if len(rel.GetDigest()) != len(s.List) {
		return fmt.Errorf("the controller gave no digest of the release in force")
	}
	copy(s.List[:], rel.GetDigest())
	doc, err := s.Encode()
	if err != nil {
		return err
	}
	if _, _, err := permit.DecodeStanding(doc); err != nil {
		return input("%v", err)
	}
	var signatures []*adminv1.ApprovalSignature
	for i, key := range keys {
		signatures = append(signatures, &adminv1.ApprovalSignature{By: c.By[i], Signature: permit.Sign(permit.DomainStanding, key, doc)})
	}
	r, err := call(adminv1.NewPlanServiceClient(cl.conn).CreateStandingApproval, &adminv1.CreateStandingApprovalRequest{Document: doc, Signatures: signatures})
	if err != nil {
		return err
	}
	return e.show(r, func() {
		e.standing(r)
		e.say("  devices %s; allowances %s; of list release %s", strings.Join(s.Devices, " "), strings.Join(s.Statements, " "), s.List.String())
	})
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
		if len(all) == 0 {
			e.say("There is none.")
		}
		for _, s := range all {
			e.standing(s)
		}
	})
}
