package api

import (
	"context"
	"errors"
	"regexp"

	"google.golang.org/protobuf/types/known/durationpb"

	"primum/controller/internal/enroll"
	"primum/controller/internal/schedule"
	"primum/controller/internal/store"
	adminv1 "primum/proto/admin/v1"
)

type windowService struct {
	adminv1.UnimplementedWindowServiceServer
	*API
}

// named holds what a person names to letters that stand in any path and on any screen.
func named(what, name string) error {
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`).MatchString(name) {
		return bad("%s is named with 1 to 40 small letters, digits and hyphens, not %q", what, name)
	}
	return nil
}

// CreateWindow implements the call.
func (s *windowService) CreateWindow(ctx context.Context, r *adminv1.CreateWindowRequest) (*adminv1.Window, error) {
	in := r.GetWindow()
	name, err := bare(in.GetName(), "windows")
	if err != nil {
		return nil, err
	}
	if err := named("an approved time", name); err != nil {
		return nil, err
	}
	agent, err := bare(in.GetAgent(), "agents")
	if err != nil {
		return nil, err
	}
	if err := enroll.CheckName(agent); err != nil {
		return nil, bad("%v", err)
	}
	if _, err := s.Store.Agent(ctx, agent); errors.Is(err, store.ErrNotFound) {
		return nil, bad("there is no agent %s: enrol it first, or correct the name", agent)
	} else if err != nil {
		return nil, s.failed(err, "agent "+agent)
	}
	w := store.Window{Name: name, Recurrence: in.GetRecurrence(), Zone: in.GetZone(), Duration: in.GetDuration().AsDuration(), Devices: append([]string{}, in.GetDevices()...), Agent: agent}
	plan, err := schedule.Parse(w.Recurrence, w.Zone, w.Duration)
	if err != nil {
		return nil, bad("%v", err)
	}
	if _, ok := plan.Next(s.Now()); !ok {
		return nil, bad("this approved time never opens again: its last one is over")
	}
	seen := map[string]bool{}
	for _, tag := range w.Devices {
		if seen[tag] {
			return nil, bad("device %s stands twice", tag)
		}
		seen[tag] = true
		if _, err := s.Store.Device(ctx, tag); err != nil {
			return nil, s.failed(err, "device "+tag)
		}
	}
	req, _, done, err := s.request(ctx, r.GetRequestId(), r)
	if err != nil {
		return nil, err
	}
	if !done {
		if err := s.Store.PutWindow(ctx, w, req, s.act(ctx, "create window", "windows/"+name)); err != nil {
			return nil, s.failed(err, "an approved time named "+name)
		}
	}
	return s.window(w), nil
}

func (a *API) window(w store.Window) *adminv1.Window {
	out := &adminv1.Window{Name: "windows/" + w.Name, Recurrence: w.Recurrence, Zone: w.Zone, Duration: durationpb.New(w.Duration), Devices: w.Devices, Agent: "agents/" + w.Agent}
	if plan, err := schedule.Parse(w.Recurrence, w.Zone, w.Duration); err == nil {
		if o, ok := plan.Next(a.Now()); ok {
			out.NextOpens = stamp(o.Opens)
		}
	}
	return out
}

// ListWindows implements the call.
func (s *windowService) ListWindows(ctx context.Context, r *adminv1.ListWindowsRequest) (*adminv1.ListWindowsResponse, error) {
	after, limit, err := page(r.GetPageToken(), r.GetPageSize())
	if err != nil {
		return nil, err
	}
	kept, err := s.Store.Windows(ctx, after, limit)
	if err != nil {
		return nil, s.failed(err, "approved times")
	}
	out := &adminv1.ListWindowsResponse{}
	for _, w := range kept {
		out.Windows = append(out.Windows, s.window(w))
		out.NextPageToken = next(len(kept), limit, w.Name)
	}
	return out, nil
}

// GetWindow implements the call.
func (s *windowService) GetWindow(ctx context.Context, r *adminv1.GetWindowRequest) (*adminv1.Window, error) {
	name, err := bare(r.GetName(), "windows")
	if err != nil {
		return nil, err
	}
	w, err := s.Store.Window(ctx, name)
	if err != nil {
		return nil, s.failed(err, "approved time "+name)
	}
	return s.window(w), nil
}
