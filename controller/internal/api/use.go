package api

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"primum/controller/internal/hold"
	"primum/controller/internal/inventory"
	"primum/controller/internal/store"
	adminv1 "primum/proto/admin/v1"
)

const leastOutOfUse = time.Minute

// ConfirmOutOfUse implements the call. It stands in the inventory as if the CMMS had told it, under the caller's name.
func (s *inventoryService) ConfirmOutOfUse(ctx context.Context, r *adminv1.ConfirmOutOfUseRequest) (*adminv1.Device, error) {
	tag, err := bare(r.GetName(), "devices")
	if err != nil {
		return nil, err
	}
	d := r.GetDuration()
	if d == nil || !d.IsValid() || d.AsDuration() < leastOutOfUse || d.AsDuration() > inventory.MostOutOfUse {
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
	h, err := hold.New(string(hold.Device), tag, inUse+r.GetReason())
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

// inUse begins the reason of a hold that a report of use has placed.
const inUse = "in use: "

// stillInUse takes out of the rows of a file what says that a device is out of use, where somebody has reported it in use and the hold of that
// stands: an older file would undo the report (H-046). It says so.
func (s *inventoryService) stillInUse(ctx context.Context, devices []store.Device) (notes []string, err error) {
	_, holds, err := s.Store.HoldsInForce(ctx)
	if err != nil {
		return nil, err
	}
	by := map[string]store.Hold{}
	for _, h := range holds {
		if h.Scope == string(hold.Device) && strings.HasPrefix(h.Reason, inUse) {
			by[h.Value] = h
		}
	}
	for i, d := range devices {
		h, is := by[d.Tag]
		if !is || d.Cells["out_of_use_confirmed_by"] == "" && d.Cells["cmms_status_at"] == "" {
			continue
		}
		cells := maps.Clone(d.Cells)
		for _, c := range []string{"out_of_use_confirmed_by", "out_of_use_confirmed_until", "cmms_status_at"} {
			delete(cells, c)
		}
		devices[i].Cells = cells
		notes = append(notes, fmt.Sprintf("%s: what the file says of its being out of use was left out, for hold %d says that it is in use (%s, by %s). When that has ended, lift the hold and confirm it anew.",
			d.Tag, h.ID, strings.TrimPrefix(h.Reason, inUse), h.PlacedBy))
	}
	return notes, nil
}

// mostNotes is how many devices a note names.
const mostNotes = 20

// over says which words of a file have an end that is behind them. The file is taken: it is as the CMMS has it, and such a word allows nothing.
func over(rows []inventory.Row, now time.Time) (notes []string) {
	more := 0
	for _, row := range rows {
		words := row.Over(now)
		if len(words) == 0 {
			continue
		}
		if len(notes) == mostNotes {
			more++
			continue
		}
		notes = append(notes, fmt.Sprintf("%s: %s, and counts for nothing.", row.Tag(), strings.Join(words, "; ")))
	}
	if more > 0 {
		notes = append(notes, fmt.Sprintf("The same of %d further devices.", more))
	}
	return notes
}

// shared says which devices of a file are one, for they have one network card: where that is a mistake, as of an export that has one card for
// many, they are asked one at a time, and rest and are held together.
func shared(rows []inventory.Row) (notes []string) {
	var cards []string
	tags := map[string][]string{}
	for _, row := range rows {
		card := row.Cell("mac")
		if card == "" {
			continue
		}
		if tags[card] = append(tags[card], row.Tag()); len(tags[card]) == 2 {
			cards = append(cards, card)
		}
	}
	for i, card := range cards {
		if i == mostNotes {
			return append(notes, fmt.Sprintf("The same of %d further network cards.", len(cards)-i))
		}
		named, more := tags[card], ""
		if n := len(named) - 4; n > 0 {
			named, more = named[:4], fmt.Sprintf(" and %d more", n)
		}
		notes = append(notes, fmt.Sprintf("%s%s have the network card %s, and count as one device: it is asked one question at a time, and is held and rests under all of these tags. If they are several, correct their cells.",
			strings.Join(named, ", "), more, card))
	}
	return notes
}

func why(reason string) error {
	if strings.TrimSpace(reason) == "" || len(reason) > 900 {
		return bad("say how it is known, in at most 900 octets")
	}
	return nil
}
