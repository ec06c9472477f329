package dispatch

import (
	"context"
	"errors"

	"primum/controller/internal/store"
	list "primum/safetylists"
)

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
			if dec.Allowed() {
				left = append(left, item)
				continue
			}
			reason, detail = dec.Reason, "as the inventory has it now: "+dec.Detail()
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
