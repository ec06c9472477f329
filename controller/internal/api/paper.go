package api

import (
	"context"
	"encoding/json"
	"strings"

	"primum/controller/internal/store"
	adminv1 "primum/proto/admin/v1"
	list "primum/safetylists"
	"primum/safetylists/advisory"
	"primum/safetylists/mds2"
)

type paperService struct {
	adminv1.UnimplementedPaperServiceServer
	*API
}

const maxPaper = 3 << 20

// ImportAdvisory implements the call.
func (s *paperService) ImportAdvisory(ctx context.Context, r *adminv1.ImportAdvisoryRequest) (*adminv1.ImportAdvisoryResponse, error) {
	if len(r.GetDocument()) > maxPaper || r.GetFile() == "" || len(r.GetFile()) > 256 {
		return nil, bad("a document of at most 3 MiB, and the name of its file, are required")
	}
	a, err := advisory.Read(r.GetFile(), r.GetDocument())
	if err != nil {
		return nil, bad("%v", err)
	}
	proposals, err := advisory.Proposals(r.GetFile(), a)
	if err != nil {
		return nil, bad("%v", err)
	}
	units, err := s.units(ctx)
	if err != nil {
		return nil, s.failed(err, "devices")
	}
	out := &adminv1.ImportAdvisoryResponse{Advisory: a.ID, Title: a.Title, Products: uint32(len(a.Products))}
	var keep []store.Proposal
	for _, p := range proposals {
		if len(could(p.Statement, units)) == 0 {
			continue // nothing of ours could be it
		}
		keep = append(keep, store.Proposal{ID: p.ID, Advisory: a.ID, Vendor: p.Vendor, Product: p.Product, Versions: p.Versions, Statement: p.Text})
	}
	out.Matches = uint32(len(keep))
	if r.GetValidateOnly() {
		return out, nil
	}
	added, err := s.Store.PutAdvisory(ctx, store.Advisory{ID: a.ID, Title: a.Title, Date: a.Date, File: r.GetFile()}, keep, s.act(ctx, "import advisory", a.ID))
	if err != nil {
		return nil, s.failed(err, "the advisory")
	}
	out.Proposed = uint32(max(added, 0))
	return out, nil
}

// units are all devices with what is known of them.
func (a *API) units(ctx context.Context) ([]list.Device, error) {
	known, err := a.knowledge(ctx, "")
	if err != nil {
		return nil, err
	}
	var out []list.Device
	for after := ""; ; {
		kept, err := a.Store.Devices(ctx, after, 1000)
		if err != nil {
			return nil, err
		}
		for _, d := range kept {
			u, err := known.unit(d)
			if err != nil {
				return nil, err
			}
			out = append(out, u.device)
			after = d.Tag
		}
		if len(kept) < 1000 {
			return out, nil
		}
	}
}

// could are the asset tags of devices that a statement could speak of.
func could(s *list.Statement, devices []list.Device) []string {
	var tags []string
	for _, d := range devices {
		if s.Could(d).Could() {
			tags = append(tags, d.ID)
		}
	}
	return tags
}

// statementOf reads the one statement of a proposal.
func statementOf(p store.Proposal) (*list.Statement, error) {
	f, err := list.Load(p.ID, []byte(p.Statement))
	if err != nil {
		return nil, err
	}
	return f.Statements[0], nil
}

// ListProposals implements the call.
func (s *paperService) ListProposals(ctx context.Context, r *adminv1.ListProposalsRequest) (*adminv1.ListProposalsResponse, error) {
	switch r.GetState() {
	case "", store.Proposed, store.Accepted, store.Dismissed:
	default:
		return nil, bad("the state %q is not PROPOSED, ACCEPTED or DISMISSED", r.GetState())
	}
	kept, err := s.Store.Proposals(ctx)
	if err != nil {
		return nil, s.failed(err, "proposals")
	}
	units, err := s.units(ctx)
	if err != nil {
		return nil, s.failed(err, "devices")
	}
	out := &adminv1.ListProposalsResponse{}
	for _, p := range kept {
		if r.GetState() != "" && p.State != r.GetState() {
			continue
		}
		one, err := proposal(p, units)
		if err != nil {
			return nil, s.failed(err, "proposal "+p.ID)
		}
		out.Proposals = append(out.Proposals, one)
	}
	return out, nil
}

func proposal(p store.Proposal, units []list.Device) (*adminv1.Proposal, error) {
	st, err := statementOf(p)
	if err != nil {
		return nil, err
	}
	return &adminv1.Proposal{Name: "proposals/" + p.ID, Advisory: p.Advisory, Title: st.Evidence[0].Title, Vendor: p.Vendor, Product: p.Product, Versions: p.Versions,
		State: p.State, DecidedBy: p.By, DecidedAt: stamp(p.At), Reason: p.Reason, Devices: could(st, units), Statement: p.Statement}, nil
}

// DecideProposal implements the call.
func (s *paperService) DecideProposal(ctx context.Context, r *adminv1.DecideProposalRequest) (*adminv1.Proposal, error) {
	id, err := bare(r.GetName(), "proposals")
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(r.GetReason()) == "" || len(r.GetReason()) > 500 {
		return nil, bad("a reason of 1 to 500 characters is required")
	}
	state := store.Dismissed
	if r.GetAccept() {
		state = store.Accepted
	}
	act := s.act(ctx, "decide proposal "+state, "proposals/"+id)
	act.Detail = r.GetReason()
	if err := s.Store.DecideProposal(ctx, id, state, act.Actor, r.GetReason(), act); err != nil {
		return nil, s.failed(err, "proposal "+id)
	}
	kept, err := s.Store.Proposals(ctx)
	if err != nil {
		return nil, s.failed(err, "proposals")
	}
	units, err := s.units(ctx)
	if err != nil {
		return nil, s.failed(err, "devices")
	}
	for _, p := range kept {
		if p.ID == id {
			out, err := proposal(p, units)
			return out, s.failed(err, "proposal "+id)
		}
	}
	return nil, s.failed(store.ErrNotFound, "proposal "+id)
}

// ImportDisclosure implements the call.
func (s *paperService) ImportDisclosure(ctx context.Context, r *adminv1.ImportDisclosureRequest) (*adminv1.Disclosure, error) {
	if len(r.GetForm()) > maxPaper || r.GetFile() == "" || len(r.GetFile()) > 256 {
		return nil, bad("a form of at most 3 MiB, and the name of its file, are required")
	}
	f, err := mds2.Read(r.GetFile(), r.GetForm())
	if err != nil {
		return nil, bad("%v", err)
	}
	b, err := json.Marshal(f)
	if err != nil {
		return nil, s.failed(err, "the form")
	}
	product := productKey(f.Maker, f.Model)
	if err := s.Store.PutForm(ctx, store.Form{Product: product, JSON: string(b), File: r.GetFile()}, s.act(ctx, "import MDS2", f.Maker+" "+f.Model)); err != nil {
		return nil, s.failed(err, "the form")
	}
	units, err := s.units(ctx)
	if err != nil {
		return nil, s.failed(err, "devices")
	}
	out := &adminv1.Disclosure{Manufacturer: f.Maker, Model: f.Model, Document: f.Version, Date: f.Date, Answers: uint32(len(f.Answers)), Beside: besides(f)}
	for _, d := range units {
		if speaksOf(product, d) {
			out.Devices++
		}
	}
	return out, nil
}

func productKey(maker, model string) string { return list.Plain(maker) + "/" + list.Plain(model) }

// speaksOf reports whether a form of the product is that of the device, by equal names in some claim.
func speaksOf(product string, d list.Device) bool {
	for _, c := range d.Claims {
		if c.Manufacturer != "" && c.Model != "" && productKey(c.Manufacturer, c.Model) == product {
			return true
		}
	}
	return false
}

func besides(f mds2.Form) []string {
	var out []string
	for _, a := range f.Beside() {
		out = append(out, "MDS2 "+a.ID+" ("+a.Question+"): "+a.Text)
	}
	return out
}

// papers are the forms on file and the proposals that nobody has decided about, or somebody has accepted.
type papers struct {
	forms     map[string]mds2.Form
	proposals []store.Proposal
	denials   []*list.Statement // of proposals, in the same order
}

func (a *API) papers(ctx context.Context) (papers, error) {
	p := papers{forms: map[string]mds2.Form{}}
	forms, err := a.Store.Forms(ctx)
	if err != nil {
		return p, err
	}
	for _, f := range forms {
		var form mds2.Form
		if err := json.Unmarshal([]byte(f.JSON), &form); err != nil {
			return p, err
		}
		p.forms[f.Product] = form
	}
	kept, err := a.Store.Proposals(ctx)
	if err != nil {
		return p, err
	}
	for _, x := range kept {
		if x.State == store.Dismissed {
			continue
		}
		st, err := statementOf(x)
		if err != nil {
			return p, err
		}
		p.proposals, p.denials = append(p.proposals, x), append(p.denials, st)
	}
	return p, nil
}

// findings are what others have written about a device, as sentences.
func (p papers) findings(d list.Device) []string {
	var out []string
	for i, st := range p.denials {
		if !st.Could(d).Could() {
			continue
		}
		x := p.proposals[i]
		says := "proposed denial " + x.ID + ", nobody has decided about it: " + st.Evidence[0].Title
		if x.State == store.Accepted {
			says = "accepted denial " + x.ID + ", in force with the next release that has it: " + st.Evidence[0].Title
		}
		out = append(out, says)
	}
	for product, f := range p.forms {
		if speaksOf(product, d) {
			return append(out, besides(f)...)
		}
	}
	return append(out, "no MDS2 of this model is on file: ask the manufacturer for it")
}
