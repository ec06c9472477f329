package api

import (
	"context"
	"errors"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"primum/controller/internal/auth"
	"primum/controller/internal/hold"
	"primum/controller/internal/store"
	adminv1 "primum/proto/admin/v1"
	list "primum/safetylists"
)

type holdService struct {
	adminv1.UnimplementedHoldServiceServer
	*API
}

// PlaceHold implements the call.
func (s *holdService) PlaceHold(ctx context.Context, r *adminv1.PlaceHoldRequest) (*adminv1.Hold, error) {
	h, err := hold.New(r.GetScope(), r.GetValue(), r.GetReason())
	if err != nil {
		return nil, bad("%v", err)
	}
	if err := s.coversSomething(ctx, h); err != nil {
		return nil, err
	}
	req, result, done, err := s.request(ctx, r.GetRequestId(), r)
	if err != nil {
		return nil, err
	}
	if done {
		return s.get(ctx, result)
	}
	a := s.act(ctx, "place hold", "")
	a.Detail = string(h.Scope) + " " + h.Value + ": " + h.Reason
	placed, err := s.Store.PlaceHold(ctx, store.Hold{Scope: string(h.Scope), Value: h.Value, Reason: h.Reason, PlacedBy: a.Actor, PlacedAt: a.At}, req, a)
	if err != nil {
		return nil, s.failed(err, "the hold")
	}
	s.Bell.Ring()
	return s.hold(ctx, placed)
}

// coversSomething refuses a hold that stops nothing, as one with a name mistyped: whoever placed it would
// believe the devices to be left alone.
func (s *holdService) coversSomething(ctx context.Context, h hold.Hold) error {
	if h.Scope == hold.All {
		return nil
	}
	site := ""
	if r, _, no := s.Safety.Current(s.Now()); no == nil {
		site = r.List.Site().Name
	}
	kept, err := s.Store.Devices(ctx, "", 0)
	if err != nil {
		return s.failed(err, "devices")
	}
	known, err := s.knowledge(ctx, "")
	if err != nil {
		return s.failed(err, "devices")
	}
	for _, d := range kept {
		u, err := known.unit(d)
		if err != nil {
			return s.failed(err, "device "+d.Tag)
		}
		if h.Covers(subject(u.device, site)) {
			return nil
		}
	}
	return bad("no hold was placed: no device in the inventory is covered by %s %q; correct the name, or hold all", h.Scope, h.Value)
}

// subject is a device by every name that a source gives it.
func subject(d list.Device, site string) hold.Subject {
	s := hold.Subject{Tag: d.ID, Site: site}
	for _, c := range d.Claims {
		s.Models = append(s.Models, c.Manufacturer+"/"+c.Model)
	}
	return s
}

// whole is a device by the names of every source, and by every tag under which it stands in the inventory.
func (a *API) whole(ctx context.Context, d list.Device, site string) (hold.Subject, error) {
	s := subject(d, site)
	var err error
	s.Also, err = a.Store.Twins(ctx, d.ID)
	return s, err
}

// LiftHold implements the call.
func (s *holdService) LiftHold(ctx context.Context, r *adminv1.LiftHoldRequest) (*adminv1.Hold, error) {
	id, err := holdID(r.GetName())
	if err != nil {
		return nil, err
	}
	if err := hold.Reason(r.GetReason()); err != nil {
		return nil, bad("%v", err)
	}
	if who := auth.From(ctx); !hold.MayLift(string(who.Role)) {
		return nil, bad("%s may not lift a hold", who.Name)
	}
	a := s.act(ctx, "lift hold", r.GetName())
	a.Detail = r.GetReason()
	err = s.Store.LiftHold(ctx, id, a.Actor, r.GetReason(), a)
	if errors.Is(err, store.ErrState) {
		return nil, status.Errorf(codes.FailedPrecondition, "%s was lifted before", r.GetName())
	}
	if err != nil {
		return nil, s.failed(err, "hold "+r.GetName())
	}
	s.Bell.Ring()
	return s.get(ctx, strconv.FormatInt(id, 10))
}

// ListHolds implements the call.
func (s *holdService) ListHolds(ctx context.Context, r *adminv1.ListHoldsRequest) (*adminv1.ListHoldsResponse, error) {
	after, limit, err := page(r.GetPageToken(), r.GetPageSize())
	if err != nil {
		return nil, err
	}
	from := int64(0)
	if after != "" {
		if from, err = strconv.ParseInt(after, 10, 64); err != nil {
			return nil, bad("the page_token is not one of this list")
		}
	}
	kept, err := s.Store.Holds(ctx, from, limit, r.GetAll())
	if err != nil {
		return nil, s.failed(err, "holds")
	}
	out := &adminv1.ListHoldsResponse{}
	for _, h := range kept {
		p, err := s.hold(ctx, h)
		if err != nil {
			return nil, err
		}
		out.Holds = append(out.Holds, p)
		out.NextPageToken = next(len(kept), limit, strconv.FormatInt(h.ID, 10))
	}
	return out, nil
}

func holdID(name string) (int64, error) {
	text, err := bare(name, "holds")
	if err != nil {
		return 0, err
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, bad("%q is not a name such as holds/7", name)
	}
	return id, nil
}

func (s *holdService) get(ctx context.Context, id string) (*adminv1.Hold, error) {
	n, err := holdID("holds/" + id)
	if err != nil {
		return nil, err
	}
	h, err := s.Store.Hold(ctx, n)
	if err != nil {
		return nil, s.failed(err, "hold "+id)
	}
	return s.hold(ctx, h)
}

// hold says too on which agents it is known to be in force.
func (s *holdService) hold(ctx context.Context, h store.Hold) (*adminv1.Hold, error) {
	out := &adminv1.Hold{Name: "holds/" + strconv.FormatInt(h.ID, 10), Scope: h.Scope, Value: h.Value, Reason: h.Reason, PlacedBy: h.PlacedBy,
		PlacedAt: stamp(h.PlacedAt), State: "HELD", LiftedBy: h.LiftedBy, LiftReason: h.LiftReason, Version: h.Version}
	if !h.LiftedAt.IsZero() {
		out.State = "LIFTED"
	}
	agents, err := s.Store.Agents(ctx, "", 0)
	if err != nil {
		return nil, s.failed(err, "agents")
	}
	for _, a := range agents {
		if a.HoldAcked >= h.Version {
			out.InForce = append(out.InForce, "agents/"+a.Name)
		} else {
			out.Pending = append(out.Pending, "agents/"+a.Name)
		}
	}
	return out, nil
}
