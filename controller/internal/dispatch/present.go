package dispatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"primum/controller/internal/store"
	list "primum/safetylists"
)

// vetted is for how long a question that may go out is not looked at again while it waits for its turn. It is less than any gap: a device
// that another agent asks meanwhile is that agent's until its gap is over (H-020).
const vetted = 2 * time.Second

// vet looks at what only the controller knows before a question goes out: rests and the inventory as they are now.
func (ses *session) vet(ctx context.Context, run store.Run, l *loaded, items []int) ([]int, error) {
	if l.vetted == nil {
		l.vetted = map[int]time.Time{}
	}
	now := ses.Now()
	seen := func(item int) bool {
		at, ok := l.vetted[item]
		return ok && !now.Before(at) && now.Sub(at) < vetted
	}
	left := slices.DeleteFunc(slices.Clone(items), seen)
	left, err := ses.awake(ctx, run, l, left)
	if err == nil {
		left, err = ses.present(ctx, run, l, left)
	}
	if err != nil {
		return nil, err
	}
	for _, item := range left {
		l.vetted[item] = now
	}
	return slices.DeleteFunc(slices.Clone(items), func(item int) bool { return !seen(item) }), nil
}

// present leaves out, and refuses, the questions that the list does not allow of a device as the inventory has it now. The agent decides on
// the device of the signed plan; what is learned after the approval, that it is on a patient, of another model, or has another version,
// only the inventory knows (H-050). It never allows what the plan does not hold.
func (ses *session) present(ctx context.Context, run store.Run, l *loaded, items []int) (left []int, err error) {
	r, _, no := ses.Safety.Current(ses.Now())
	if no != nil {
		return nil, nil // the next look refuses the run
	}
	for _, item := range items {
		it := l.plan.Items[item]
		d, err := ses.Device(ctx, it.Device.ID)
		reason, detail := list.NotRegistered, "it is no longer in the inventory"
		if err == nil {
			dec := r.List.Decide(d, it.Query, ses.Now())
			if no := elsewhereNow(it.Device, d); no != nil {
				reason, detail = no.Reason, no.Detail
			} else if dec.Allowed() {
				left = append(left, item)
				continue
			} else {
				reason, detail = dec.Reason, strings.TrimSuffix("as the inventory has it now: "+dec.Detail(), ": ")
			}
		} else if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if err := ses.Store.Refuse(ctx, run.Name, []int{item}, string(reason), detail, ses.Now()); err != nil {
			return nil, err
		}
		ses.Bell.Ring()
	}
	return left, nil
}

// elsewhereNow reports that the inventory has a device at another address than the plan, with another network card, or no longer with the word
// about its address that the plan carries. The agent would hold the old address against the old card and the old word, and ask whoever is
// there by now.
func elsewhereNow(planned, now list.Device) *list.Refusal {
	const anew = "; make a plan anew"
	switch word := now.Fixed; {
	case planned.Address != now.Address:
		return list.Refuse(list.AddressMoved, fmt.Sprintf("the plan has it at %s, and the inventory has it at %s now", planned.Address, cmp.Or(strings.TrimPrefix(now.Address.String(), "invalid IP"), "no address"))+anew)
	case !slices.Equal(list.Reached("", "", planned.MAC), list.Reached("", "", now.MAC)):
		return list.Refuse(list.AddressMoved, fmt.Sprintf("the plan has the network card %s, and the inventory has %s now", cmp.Or(planned.MAC, "none"), cmp.Or(now.MAC, "none"))+anew)
	case planned.Fixed != nil && (word == nil || word.Address != planned.Fixed.Address || word.Until.Before(planned.Fixed.Until)):
		return list.Refuse(list.AddressUnproven, "the word about its address that the plan carries no longer stands in the inventory"+anew)
	}
	return nil
}
