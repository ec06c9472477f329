package api

import (
	"context"
	"strings"
	"time"

	"primum/controller/internal/hold"
	"primum/controller/internal/store"
	adminv1 "primum/proto/admin/v1"
)

// The bounds of a confirmation: a shift, and not a standing belief (H-002).
const (
	leastOutOfUse = time.Minute
	mostOutOfUse  = 12 * time.Hour
)

// ConfirmOutOfUse implements the call. It stands in the inventory as if the CMMS had told it, under the caller's name.
func (s *inventoryService) ConfirmOutOfUse(ctx context.Context, r *adminv1.ConfirmOutOfUseRequest) (*adminv1.Device, error) {
	tag, err := bare(r.GetName(), "devices")
	if err != nil {
		return nil, err
	}
	d := r.GetDuration()
	if d == nil || !d.IsValid() || d.AsDuration() < leastOutOfUse || d.AsDuration() > mostOutOfUse {
		return nil, bad("say for how long nobody will depend on the device: from %s to %s", "1 minute", "12 hours")
	}
	if err := why(r.GetReason()); err != nil {
		return nil, err
	}
	req, _, done, err := s.request(ctx, r.GetRequestId(), r)
	if err != nil {
		return nil, err
	}
	if !done {
		a := s.act(ctx, "confirm out of use", "devices/"+tag)
		until := a.At.Add(d.AsDuration()).UTC().Format(time.RFC3339)
		a.Detail = "until " + until + ": " + r.GetReason()
		cells := map[string]string{"out_of_use_confirmed_by": a.Actor, "out_of_use_confirmed_until": until}
		if err := s.Store.SetCells(ctx, tag, cells, req, a); err != nil {
			return nil, s.failed(err, "device "+tag)
		}
		s.Bell.Ring()
	}
	return s.GetDevice(ctx, &adminv1.GetDeviceRequest{Name: "devices/" + tag})
}

// ReportInUse implements the call. The hold comes first: it is what stops.
func (s *inventoryService) ReportInUse(ctx context.Context, r *adminv1.ReportInUseRequest) (*adminv1.Device, error) {
	tag, err := bare(r.GetName(), "devices")
	if err != nil {
		return nil, err
	}
	if err := why(r.GetReason()); err != nil {
		return nil, err
	}
	if _, err := s.Store.Device(ctx, tag); err != nil {
		return nil, s.failed(err, "device "+tag)
	}
	h, err := hold.New(string(hold.Device), tag, "in use: "+r.GetReason())
	if err != nil {
		return nil, bad("%v", err)
	}
	a := s.act(ctx, "place hold", "")
	a.Detail = string(h.Scope) + " " + h.Value + ": " + h.Reason
	if _, err := s.Store.PlaceHold(ctx, store.Hold{Scope: string(h.Scope), Value: h.Value, Reason: h.Reason, PlacedBy: a.Actor, PlacedAt: a.At}, nil, a); err != nil {
		return nil, s.failed(err, "the hold")
	}
	s.Bell.Ring()
	a = s.act(ctx, "report in use", "devices/"+tag)
	a.Detail = r.GetReason()
	if err := s.Store.SetCells(ctx, tag, map[string]string{"out_of_use_confirmed_by": "", "out_of_use_confirmed_until": "", "cmms_status_at": ""}, nil, a); err != nil {
		return nil, s.failed(err, "device "+tag)
	}
	return s.GetDevice(ctx, &adminv1.GetDeviceRequest{Name: "devices/" + tag})
}

func why(reason string) error {
	if strings.TrimSpace(reason) == "" || len(reason) > 900 {
		return bad("say how it is known, in at most 900 octets")
	}
	return nil
}
