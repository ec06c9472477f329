package api

import (
	"context"
	"fmt"
	"slices"
	"time"

	"primum/controller/internal/approve"
	"primum/controller/internal/store"
	adminv1 "primum/proto/admin/v1"
	list "primum/safetylists"
	"primum/safetylists/permit"
)

// ClearDevice implements the call. The agent verifies the approver's signature itself; what is checked here only
// spares it a clearance that it would refuse.
func (s *inventoryService) ClearDevice(ctx context.Context, r *adminv1.ClearDeviceRequest) (*adminv1.Device, error) {
	c, digest, err := permit.DecodeClearance(r.GetDocument())
	if err != nil {
		return nil, bad("%v", err)
	}
	rel, _, no := s.Safety.Current(s.Now())
	if no != nil {
		return nil, refused(*no, nil)
	}
	site := rel.List.Site()
	if err := approvers(site, r.GetBy()); err != nil {
		return nil, err
	}
	signed := permit.Signature{By: r.GetBy(), Sig: r.GetSignature()}
	if no := approve.Signature(site, permit.DomainClearance, r.GetDocument(), signed); no != nil {
		return nil, refused(*no, nil)
	}
	if c.Site != site.Name {
		return nil, refused(*list.Refuse(list.PlanNotApproved, "the clearance is for site "+c.Site), nil)
	}
	open, err := s.Store.Distresses(ctx, c.Device)
	if err != nil {
		return nil, s.failed(err, "device "+c.Device)
	}
	if !slices.ContainsFunc(open, func(d store.Distress) bool { return d.Permit == c.Permit && d.Agent == c.Agent }) {
		return nil, bad("%s has no distress of that question that is to be cleared", c.Device)
	}
	a := s.act(ctx, "clear device", "devices/"+c.Device)
	a.Detail = "signed by " + r.GetBy() + ": " + c.Reason
	err = s.Store.PutClearance(ctx, store.Clearance{Permit: c.Permit, Device: c.Device, Agent: c.Agent, Document: r.GetDocument(), Digest: digest[:],
		Signed: store.Signature{By: r.GetBy(), Sig: r.GetSignature()}, At: a.At}, a)
	if err != nil {
		return nil, s.failed(err, "a clearance of this distress")
	}
	s.Bell.Ring()
	return s.GetDevice(ctx, &adminv1.GetDeviceRequest{Name: "devices/" + c.Device})
}

// distresses says why a device is left alone.
func (a *API) distresses(ctx context.Context, tag string) ([]*adminv1.Distress, error) {
	open, err := a.Store.Distresses(ctx, tag)
	if err != nil {
		return nil, err
	}
	var out []*adminv1.Distress
	for _, d := range open {
		out = append(out, &adminv1.Distress{Run: "runs/" + d.Run, Agent: "agents/" + d.Agent, Permit: d.Permit, State: d.State, Detail: d.Detail,
			At: stamp(d.At), Clearing: d.Clearing, Problem: d.Problem})
	}
	return out, nil
}

// leftAlone says why a device is left alone, under any of its tags: the word that clears it names the one that it was asked under.
func (a *API) leftAlone(ctx context.Context, tags []string) (words []string, err error) {
	for _, tag := range tags {
		open, err := a.Store.Distresses(ctx, tag)
		if err != nil {
			return nil, err
		}
		for _, d := range open {
			as := ""
			if tag != tags[0] {
				as = " as " + tag
			}
			next := "A person looks at it first, and then: primum devices clear " + tag + " --reason WHAT-WAS-SEEN --key FILE --by APPROVER"
			if d.Clearing {
				next = "It was cleared, and agents/" + d.Agent + " has not taken that yet: it does when it has a session"
			}
			words = append(words, fmt.Sprintf("it was left in %s%s at %s UTC (run %s): %s. %s", d.State, as, d.At.UTC().Format(time.DateTime), d.Run, d.Detail, next))
		}
	}
	return words, nil
}
