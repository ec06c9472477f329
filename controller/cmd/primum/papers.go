package main

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminv1 "primum/proto/admin/v1"
	"primum/safetylists/advisory"
)

type advisoryCommands struct {
	Read    advisoryReadCommand    `cmd:"" help:"Read advisories of a folder and say what is in them, without a controller."`
	Import  advisoryImportCommand  `cmd:"" help:"Give the controller advisories: what matches the inventory becomes a proposed denial."`
	List    advisoryListCommand    `cmd:"" help:"List proposed denials."`
	Accept  advisoryAcceptCommand  `cmd:"" help:"Accept a proposed denial, and write its statement for the next release."`
	Dismiss advisoryDismissCommand `cmd:"" help:"Dismiss a proposed denial."`
}

// documents are the files of a folder that end in .json, or the one file; bounded before they are read.
func documents(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, input("the advisories cannot be read: %v", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	names, err := filepath.Glob(filepath.Join(path, "*.json"))
	if err != nil || len(names) == 0 {
		return nil, input("the folder %s has no advisory (*.json)", path)
	}
	slices.Sort(names)
	return names, nil
}

func bounded(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > most {
		return nil, input("%s: %d octets; at most %d are taken", path, info.Size(), most)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, input("%v", err)
	}
	return text, nil
}

type advisoryReadCommand struct {
	Path string `arg:"" help:"Folder of CSAF documents, or one."`
}

// Run reads, and counts the leaves of each product tree, as jq would.
func (c *advisoryReadCommand) Run(e *env) error {
	names, err := documents(c.Path)
	if err != nil {
		return err
	}
	type document struct {
		File     string `json:"file"`
		Products int    `json:"products"`
	}
	read, products, affected, medical := []document{}, 0, 0, 0
	var failed []string
	for _, name := range names {
		text, err := bounded(name, advisory.MaxSize)
		if err != nil {
			failed = append(failed, err.Error())
			continue
		}
		a, err := advisory.Read(filepath.Base(name), text)
		if err != nil {
			failed = append(failed, err.Error())
			continue
		}
		products += len(a.Products)
		affected += len(a.Affected)
		if a.Medical {
			medical++
		}
		read = append(read, document{filepath.Base(name), len(a.Products)})
	}
	err = e.data(map[string]any{"files": read, "read": len(read), "medical": medical, "products": products, "affected": affected, "failed": failed}, func() {
		for _, d := range read {
			e.say("%s %d", d.File, d.Products)
		}
		e.say("%d of %s read, %d of them medical; %s, %d of them affected.", len(read), count(len(names), "file"), medical, count(products, "product"), affected)
	})
	if err != nil {
		return err
	}
	if len(failed) > 0 {
		return input("%s not read: %s", count(len(failed), "file"), strings.Join(failed, "; "))
	}
	return nil
}

type advisoryImportCommand struct {
	Path         string `arg:"" help:"Folder of CSAF documents, or one."`
	ValidateOnly bool   `help:"Read every document and take none."`
}

// Run gives the controller one document after the other. One that cannot be read does not keep the others
// out; it is said, and the exit is not zero.
func (c *advisoryImportCommand) Run(e *env) error {
	names, err := documents(c.Path)
	if err != nil {
		return err
	}
	cl, err := e.dial()
	if err != nil {
		return err
	}
	papers := adminv1.NewPaperServiceClient(cl.conn)
	taken, matches, proposed := 0, 0, 0
	var failed []string
	for _, name := range names {
		text, err := bounded(name, 3<<20)
		if err != nil {
			failed = append(failed, err.Error())
			continue
		}
		r, err := call(papers.ImportAdvisory, &adminv1.ImportAdvisoryRequest{File: filepath.Base(name), Document: text, ValidateOnly: c.ValidateOnly})
		if status.Code(err) == codes.InvalidArgument {
			failed = append(failed, status.Convert(err).Message())
			continue
		}
		if err != nil {
			return err
		}
		taken++
		matches += int(r.GetMatches())
		proposed += int(r.GetProposed())
		if r.GetMatches() > 0 {
			e.say("%s: %d products of the inventory could be meant", r.GetTitle(), r.GetMatches())
		}
	}
	what := "taken"
	if c.ValidateOnly {
		what = "good; none was taken"
	}
	e.say("%d of %d advisories %s. %d products of the inventory could be meant; %d denials are newly proposed. Nothing is refused by a proposal: see primum advisory list.", taken, len(names), what, matches, proposed)
	if len(failed) > 0 {
		return input("%s not taken: %s", count(len(failed), "file"), strings.Join(failed, "; "))
	}
	return nil
}

type advisoryListCommand struct {
	State string `enum:",PROPOSED,ACCEPTED,DISMISSED" default:"" help:"PROPOSED, ACCEPTED or DISMISSED."`
}

// Run lists.
func (c *advisoryListCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	r, err := call(adminv1.NewPaperServiceClient(cl.conn).ListProposals, &adminv1.ListProposalsRequest{State: c.State})
	if err != nil {
		return err
	}
	return e.show(r, func() {
		if len(r.GetProposals()) == 0 {
			e.say("There is none.")
		}
		for _, p := range r.GetProposals() {
			e.proposal(p)
		}
	})
}

func (e *env) proposal(p *adminv1.Proposal) {
	e.say("%s  %s", short(p.GetName()), p.GetState())
	e.say("  %s", p.GetTitle())
	e.say("  %s %s, versions there: %s", p.GetVendor(), p.GetProduct(), p.GetVersions())
	e.say("  devices that could be meant: %s", strings.Join(p.GetDevices(), " "))
	if p.GetDecidedBy() != "" {
		e.say("  by %s, %s: %s", p.GetDecidedBy(), when(p.GetDecidedAt()), p.GetReason())
	}
}

type advisoryAcceptCommand struct {
	Proposal string `arg:"" help:"Name of the proposal."`
	Reason   string `required:"" help:"Why."`
	Out      string `required:"" help:"File for the statement; one that is there is not overwritten."`
}

// Run accepts. The file is made first: a proposal is not accepted without its statement.
func (c *advisoryAcceptCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	papers := adminv1.NewPaperServiceClient(cl.conn)
	all, err := call(papers.ListProposals, &adminv1.ListProposalsRequest{State: "PROPOSED"})
	if err != nil {
		return err
	}
	k := slices.IndexFunc(all.GetProposals(), func(p *adminv1.Proposal) bool { return p.GetName() == within("proposals", c.Proposal) })
	if k < 0 {
		return input("there is no proposal %s that nobody has decided about: see primum advisory list", c.Proposal)
	}
	if err := writeMode(c.Out, all.GetProposals()[k].GetStatement(), 0o644); err != nil {
		return err
	}
	p, err := call(papers.DecideProposal, &adminv1.DecideProposalRequest{Name: within("proposals", c.Proposal), Accept: true, Reason: c.Reason})
	if err != nil {
		return errors.Join(err, os.Remove(c.Out))
	}
	return e.show(p, func() {
		e.proposal(p)
		e.say("Its statement is in %s. It refuses nothing yet: look at it, narrow it where you know better, try it with", c.Out)
		e.say("primum list lint, and put it into the next release. Until then primum hold place stops the model.")
	})
}

type advisoryDismissCommand struct {
	Proposal string `arg:"" help:"Name of the proposal."`
	Reason   string `required:"" help:"Why."`
}

// Run dismisses.
func (c *advisoryDismissCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	p, err := call(adminv1.NewPaperServiceClient(cl.conn).DecideProposal, &adminv1.DecideProposalRequest{Name: within("proposals", c.Proposal), Reason: c.Reason})
	if err != nil {
		return err
	}
	return e.show(p, func() { e.proposal(p) })
}

type mds2Commands struct {
	Import mds2ImportCommand `cmd:"" help:"Give the controller filled-in forms, CSV or XLSX."`
}

type mds2ImportCommand struct {
	Files []string `arg:"" help:"Forms."`
}

// Run imports.
func (c *mds2ImportCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	for _, name := range c.Files {
		text, err := bounded(name, 3<<20)
		if err != nil {
			return err
		}
		d, err := call(adminv1.NewPaperServiceClient(cl.conn).ImportDisclosure, &adminv1.ImportDisclosureRequest{File: filepath.Base(name), Form: text})
		if err != nil {
			return err
		}
		if err := e.show(d, func() {
			e.say("%s %s, document %s of %s: %d answers, for %d devices of the inventory", d.GetManufacturer(), d.GetModel(), cmp.Or(d.GetDocument(), "without a number"), cmp.Or(d.GetDate(), "no date"), d.GetAnswers(), d.GetDevices())
			for _, b := range d.GetBeside() {
				e.say("  %s", b)
			}
		}); err != nil {
			return err
		}
	}
	return nil
}
