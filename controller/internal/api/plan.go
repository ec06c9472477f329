package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"primum/controller/internal/approve"
	"primum/controller/internal/plan"
	"primum/controller/internal/schedule"
	"primum/controller/internal/store"
	adminv1 "primum/proto/admin/v1"
	list "primum/safetylists"
	"primum/safetylists/permit"
	"primum/safetylists/release"
)

type planService struct {
	adminv1.UnimplementedPlanServiceServer
	*API
}

// CreatePlan implements the call: it plans the next occurrence that has not opened yet, and sends nothing.
func (s *planService) CreatePlan(ctx context.Context, r *adminv1.CreatePlanRequest) (*adminv1.Plan, error) {
	name, err := bare(r.GetWindow(), "windows")
	if err != nil {
		return nil, err
	}
	w, err := s.Store.Window(ctx, name)
	if err != nil {
		return nil, s.failed(err, "approved time "+name)
	}
	req, result, done, err := s.request(ctx, r.GetRequestId(), r)
	if err != nil {
		return nil, err
	}
	if done {
		return s.get(ctx, result)
	}
	now := s.Now()
	times, err := schedule.Parse(w.Recurrence, w.Zone, w.Duration)
	if err != nil {
		return nil, s.failed(err, "approved time "+name)
	}
	next, ok := times.Next(now)
	if ok {
		fired, err := s.Store.HasOccurrence(ctx, "windows/"+name, next.Opens)
		if err != nil {
			return nil, s.failed(err, "approved time "+name)
		}
		if fired {
			next, ok = times.Next(next.Closes)
		}
	}
	if !ok {
		return nil, refused(*list.Refuse(list.OutsideWindow, "this approved time has no further opening"), nil)
	}
	in, rel, err := s.planInput(ctx, now, w.Devices)
	if err != nil {
		return nil, err
	}
	in.Origin, in.Caller, in.Opens, in.Closes = permit.FromWindow, "windows/"+name, next.Opens, next.Closes
	p, err := s.encode(in, rel, w.Agent, now)
	if err != nil {
		return nil, s.failed(err, "the plan")
	}
	if err := s.Store.PutPlan(ctx, p, req, s.act(ctx, "create plan", "plans/"+p.Name)); err != nil {
		return nil, s.failed(err, "the plan")
	}
	return s.get(ctx, p.Name)
}

// planInput gathers what a plan depends on; without tags, every device of the site.
func (a *API) planInput(ctx context.Context, now time.Time, tags []string) (plan.Input, *release.Release, error) {
	rel, _, no := a.Safety.Current(now)
	if no != nil {
		return plan.Input{}, nil, refused(*no, nil)
	}
	kept, err := a.Store.Devices(ctx, "", 0)
	if err != nil {
		return plan.Input{}, nil, a.failed(err, "devices")
	}
	known, err := a.knowledge(ctx, "")
	if err != nil {
		return plan.Input{}, nil, a.failed(err, "devices")
	}
	in := plan.Input{Site: rel.List.Site().Name, Made: now, List: rel.List, Release: rel.Digest, Last: map[plan.Asked]time.Time{}}
	for _, d := range kept {
		u, err := known.unit(d)
		if err != nil {
			return plan.Input{}, nil, a.failed(err, "device "+d.Tag)
		}
		if len(tags) == 0 || slices.Contains(tags, d.Tag) {
			in.Devices = append(in.Devices, u.device)
		}
		for _, n := range plan.Names(u.device) { // those of the other tags count too (G9)
			for _, v := range u.visits {
				if k := (plan.Asked{Name: n, Question: v.Question}); v.At.After(in.Last[k]) {
					in.Last[k] = v.At
				}
			}
		}
	}
	if len(in.Devices) == 0 {
		return plan.Input{}, nil, bad("there is no device to plan for; import the inventory first")
	}
	return in, rel, nil
}

func (a *API) encode(in plan.Input, rel *release.Release, agent string, now time.Time) (store.Plan, error) {
	name, err := newName(now)
	if err != nil {
		return store.Plan{}, err
	}
	in.ID = "plans/" + name
	doc := plan.Make(in)
	b, err := doc.Encode()
	if err != nil {
		return store.Plan{}, err
	}
	digest := sha256.Sum256(b)
	return store.Plan{Name: name, Caller: doc.Caller, Agent: agent, Opens: doc.Opens, Closes: doc.Closes, Digest: digest[:], List: rel.Digest[:], Document: b, State: store.Draft}, nil
}

// GetPlan implements the call.
func (s *planService) GetPlan(ctx context.Context, r *adminv1.GetPlanRequest) (*adminv1.Plan, error) {
	name, err := bare(r.GetName(), "plans")
	if err != nil {
		return nil, err
	}
	return s.get(ctx, name)
}

func (s *planService) get(ctx context.Context, name string) (*adminv1.Plan, error) {
	p, err := s.Store.Plan(ctx, name)
	if err != nil {
		return nil, s.failed(err, "plan "+name)
	}
	out, err := s.head(ctx, p)
	if err != nil {
		return nil, s.failed(err, "plan "+name)
	}
	doc, _, err := permit.DecodePlan(p.Document)
	if err != nil {
		return nil, s.failed(err, "plan "+name)
	}
	out.Document = p.Document
	for _, it := range doc.Items {
		ms, err := messages(it.Query)
		if err != nil {
			return nil, s.failed(err, "plan "+name)
		}
		for _, m := range ms {
			out.Octets += uint32(len(m.GetHex()) / 2)
		}
		out.Messages += uint32(len(ms))
		out.Items = append(out.Items, &adminv1.PlanItem{Device: "devices/" + it.Device.ID, DeviceName: it.Device.Name, Place: it.Device.Place,
			Question: it.Query.String(), Purpose: string(it.Purpose), Statements: it.Statements, Messages: ms})
	}
	if out.Notes, err = s.notes(ctx); err != nil {
		return nil, s.failed(err, "plan "+name)
	}
	if p.Run == "" {
		moved, err := s.movedIn(ctx, doc)
		if err != nil {
			return nil, s.failed(err, "plan "+name)
		}
		out.Notes = append(out.Notes, moved...)
	}
	out.Busy = durationpb.New(doc.Busy())
	for _, no := range doc.Refusals {
		w := no.Reason.Words()
		out.Refusals = append(out.Refusals, &adminv1.PlanRefusal{Device: "devices/" + no.Device, DeviceName: no.Name, Place: no.Place, Question: no.Question,
			Reason: string(no.Reason), Detail: no.Detail, What: w.What, Why: w.Why, Do: w.Do, Statements: no.Statements})
	}
	return out, nil
}

// notes are what a person should know before signing any plan of the site as it is now.
func (s *planService) notes(ctx context.Context) (out []string, err error) {
	rel, _, no := s.Safety.Current(s.Now())
	if no != nil || len(rel.List.Site().Quiet) == 0 {
		return nil, nil
	}
	all, err := s.units(ctx)
	if err != nil {
		return nil, err
	}
	for _, q := range rel.List.QuietNowhere(all) {
		out = append(out, "The site file has quiet hours of "+q.String()+", and no device of the inventory is there: if the name is mistyped, or the ward was renamed, its devices are not left alone.")
	}
	return out, nil
}

// movedIn says which devices of a plan an agent found elsewhere the last time that it looked. They stay in it: they may be there again.
func (s *planService) movedIn(ctx context.Context, doc permit.Plan) (out []string, err error) {
	moved, err := s.Store.Moved(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, m := range moved {
		if slices.ContainsFunc(doc.Items, func(it permit.Item) bool { return it.Device.ID == m.Tag }) {
			out = append(out, m.Tag+" "+leftPlace(m))
		}
	}
	return out, nil
}

// leftPlace says where a device was found to be no longer.
func leftPlace(m store.Moved) string {
	return fmt.Sprintf("was no longer at %s when an agent looked at %s UTC: %s. Correct its address in the inventory; it is asked there only if it is there again.", m.IP, m.At.UTC().Format(time.DateTime), m.Detail)
}

// head is a plan without what its document says.
func (s *planService) head(ctx context.Context, p store.Plan) (*adminv1.Plan, error) {
	sigs, err := s.Store.PlanSignatures(ctx, p.Name)
	if err != nil {
		return nil, err
	}
	out := &adminv1.Plan{Name: "plans/" + p.Name, Window: p.Caller, Opens: stamp(p.Opens), Closes: stamp(p.Closes), Digest: p.Digest, State: p.State}
	if p.Run != "" {
		out.Run = "runs/" + p.Run
	}
	for _, g := range sigs {
		out.ApprovedBy = append(out.ApprovedBy, g.By)
	}
	if rel, _, no := s.Safety.Current(s.Now()); no == nil {
		out.ApproversNeeded = uint32(rel.List.Site().MinApprovers)
	}
	return out, nil
}

// ListPlans implements the call.
func (s *planService) ListPlans(ctx context.Context, r *adminv1.ListPlansRequest) (*adminv1.ListPlansResponse, error) {
	after, limit, err := page(r.GetPageToken(), r.GetPageSize())
	if err != nil {
		return nil, err
	}
	kept, err := s.Store.Plans(ctx, after, limit)
	if err != nil {
		return nil, s.failed(err, "plans")
	}
	out := &adminv1.ListPlansResponse{}
	for _, p := range kept {
		h, err := s.head(ctx, p)
		if err != nil {
			return nil, s.failed(err, "plans")
		}
		out.Plans = append(out.Plans, h)
		out.NextPageToken = next(len(kept), limit, p.Name)
	}
	return out, nil
}

// ApprovePlan implements the call. The signature is checked against the site file before it is kept.
func (s *planService) ApprovePlan(ctx context.Context, r *adminv1.ApprovePlanRequest) (*adminv1.Plan, error) {
	name, err := bare(r.GetName(), "plans")
	if err != nil {
		return nil, err
	}
	p, err := s.Store.Plan(ctx, name)
	if err != nil {
		return nil, s.failed(err, "plan "+name)
	}
	rel, _, no := s.Safety.Current(s.Now())
	if no != nil {
		return nil, refused(*no, nil)
	}
	if permit.Digest(p.List) != rel.Digest {
		return nil, refused(*list.Refuse(list.ListOther, "a newer release was published after the plan was made"), nil)
	}
	site := rel.List.Site()
	if err := approvers(site, r.GetBy()); err != nil {
		return nil, err
	}
	if no := approve.Signature(site, permit.DomainPlan, p.Document, permit.Signature{By: r.GetBy(), Sig: r.GetSignature()}); no != nil {
		return nil, refused(*no, nil)
	}
	a := s.act(ctx, "approve plan", "plans/"+name)
	a.Detail = "signed by " + r.GetBy()
	if err := s.Store.SignPlan(ctx, name, store.Signature{By: r.GetBy(), Sig: r.GetSignature()}, site.MinApprovers, a); err != nil {
		return nil, s.failed(err, "plan "+name)
	}
	s.Bell.Ring()
	return s.get(ctx, name)
}

// CreateStandingApproval implements the call.
func (s *planService) CreateStandingApproval(ctx context.Context, r *adminv1.CreateStandingApprovalRequest) (*adminv1.StandingApproval, error) {
	rel, _, no := s.Safety.Current(s.Now())
	if no != nil {
		return nil, refused(*no, nil)
	}
	var sigs []permit.Signature
	var kept []store.Signature
	for _, g := range r.GetSignatures() {
		if err := approvers(rel.List.Site(), g.GetBy()); err != nil {
			return nil, err
		}
		sigs = append(sigs, permit.Signature{By: g.GetBy(), Sig: g.GetSignature()})
		kept = append(kept, store.Signature{By: g.GetBy(), Sig: g.GetSignature()})
	}
	d, no := approve.Standing(rel.List.Site(), r.GetDocument(), sigs)
	if no != nil {
		return nil, refused(*no, nil)
	}
	switch {
	case d.List != rel.Digest:
		return nil, refused(*list.Refuse(list.ListOther, "the standing approval names another list release than the one in force"), nil)
	case d.Site != rel.List.Site().Name:
		return nil, refused(*list.Refuse(list.PlanNotApproved, "the standing approval is for site "+d.Site), nil)
	}
	if err := named("a standing approval", d.ID); err != nil {
		return nil, err
	}
	if err := s.known(ctx, rel.List, d); err != nil {
		return nil, err
	}
	x := store.Standing{Name: d.ID, Caller: d.Caller, Document: r.GetDocument(), From: d.From, Until: d.Until, PerDay: d.PerDay, Signatures: kept}
	if err := s.Store.PutStanding(ctx, x, s.act(ctx, "create standing approval", "standingApprovals/"+d.ID)); err != nil {
		return nil, s.failed(err, "a standing approval named "+d.ID)
	}
	return standing(x), nil
}

// known refuses a standing approval of an allowance or a device, or for a caller, that is not there: a mistyped name would be
// signed and never cover anything.
func (a *API) known(ctx context.Context, l *list.List, d permit.Standing) error {
	if _, err := a.Store.TokenNamed(ctx, d.Caller); errors.Is(err, store.ErrNotFound) {
		return bad("there is no token named %s; make it first with primum-controller token create, or correct the name", d.Caller)
	} else if err != nil {
		return a.failed(err, "tokens")
	}
	for i, id := range d.Statements {
		if slices.Contains(d.Statements[:i], id) {
			return bad("allowance %s stands twice", id)
		}
		if st := l.Statement(id); st == nil || st.Type != list.Allow {
			return bad("the release in force has no allowance %s; primum explain DEVICE names those of a device", id)
		}
	}
	for i, tag := range d.Devices {
		if slices.Contains(d.Devices[:i], tag) {
			return bad("device %s stands twice", tag)
		}
		if tag == "*" {
			continue
		}
		if _, err := a.Store.Device(ctx, tag); err != nil {
			return a.failed(err, "device "+tag)
		}
	}
	return nil
}

func standing(x store.Standing) *adminv1.StandingApproval {
	out := &adminv1.StandingApproval{Name: "standingApprovals/" + x.Name, Document: x.Document, Caller: x.Caller, From: stamp(x.From), Until: stamp(x.Until), PerDay: uint32(x.PerDay)}
	for _, g := range x.Signatures {
		out.ApprovedBy = append(out.ApprovedBy, g.By)
	}
	return out
}

// ListStandingApprovals implements the call.
func (s *planService) ListStandingApprovals(ctx context.Context, r *adminv1.ListStandingApprovalsRequest) (*adminv1.ListStandingApprovalsResponse, error) {
	after, limit, err := page(r.GetPageToken(), r.GetPageSize())
	if err != nil {
		return nil, err
	}
	kept, err := s.Store.Standings(ctx, after, limit)
	if err != nil {
		return nil, s.failed(err, "standing approvals")
	}
	out := &adminv1.ListStandingApprovalsResponse{}
	for _, x := range kept {
		out.StandingApprovals = append(out.StandingApprovals, standing(x))
		out.NextPageToken = next(len(kept), limit, x.Name)
	}
	return out, nil
}
