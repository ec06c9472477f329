// Package distress keeps a model safe from what has hurt two of its devices: the second distress of a model
// holds the model, until a person lifts the hold (G10, DESIGN 6.6). A device by itself is left alone by its
// agent; this room is about the others of its kind. It sends nothing: holds go out by dispatch.
package distress

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"primum/controller/internal/bell"
	"primum/controller/internal/hold"
	"primum/controller/internal/store"
	list "primum/safetylists"
	"primum/safetylists/permit"
)

// Actor is who places such a hold, in its own record and in the audit trail.
const Actor = "controller"

// Most is how many cases a model may have before it is held: one.
const Most = 1

// Watch weighs each distress once.
type Watch struct {
	Store *store.Store
	Bell  *bell.Bell
	Now   func() time.Time
	Log   *slog.Logger
}

// Look weighs what has not been weighed. It is called when records came in and before any work goes out, so that
// the second case of a model is the last.
func (w *Watch) Look(ctx context.Context) error {
	open, err := w.Store.UnweighedDistresses(ctx)
	if err != nil {
		return err
	}
	for _, u := range open {
		models, err := w.models(ctx, u)
		if err != nil {
			return fmt.Errorf("weigh the distress of %s: %w", u.Device, err)
		}
		c := store.Case{Permit: u.Permit, Device: u.Device, Models: models, At: u.At}
		now := w.Now()
		placed, err := w.Store.PutCase(ctx, c, func(earlier []store.Case, holds []store.Hold) []store.Hold {
			return Weigh(c, u.Detail, earlier, holds, now)
		}, store.Audit{At: now, Actor: Actor, Verb: "place hold"})
		if err != nil {
			return err
		}
		for _, h := range placed {
			w.Log.Error("a model is held", "model", h.Value, "reason", h.Reason)
		}
		if len(placed) > 0 {
			w.Bell.Ring()
		}
	}
	return nil
}

// models are the names of the device's model in the plan that it was asked under: those of the moment, whatever
// the inventory says now.
func (w *Watch) models(ctx context.Context, u store.Unweighed) ([]string, error) {
	kept, err := w.Store.Plan(ctx, u.Plan)
	if err != nil {
		return nil, err
	}
	doc, _, err := permit.DecodePlan(kept.Document)
	if err != nil {
		return nil, err
	}
	if u.Item < 0 || u.Item >= len(doc.Items) {
		return nil, fmt.Errorf("plan %s has no item %d", u.Plan, u.Item)
	}
	var out []string
	for _, c := range doc.Items[u.Item].Device.Claims {
		m := c.Manufacturer + "/" + c.Model
		if c.Manufacturer != "" && c.Model != "" && !named(out, m) {
			out = append(out, m)
		}
	}
	return out, nil
}

// Weigh returns the holds that follow from a case: one of each of its models that has had another case since a
// hold of that model was last lifted, and that is not held already.
func Weigh(c store.Case, detail string, earlier []store.Case, holds []store.Hold, now time.Time) []store.Hold {
	var out []store.Hold
	for _, m := range c.Models {
		held, lifted := standing(m, holds)
		if held {
			continue
		}
		var tags []string
		for _, e := range earlier {
			if e.At.After(lifted) && named(e.Models, m) {
				tags = append(tags, e.Device)
			}
		}
		if len(tags) < Most {
			continue
		}
		reason := fmt.Sprintf("%s is the case number %d of distress of this model, after %s. Look at the devices, then lift this hold. The last: %s",
			c.Device, len(tags)+1, tags[len(tags)-1], detail)
		if h, err := hold.New(string(hold.Model), m, cut(reason)); err == nil {
			out = append(out, store.Hold{Scope: string(h.Scope), Value: h.Value, Reason: h.Reason, PlacedBy: Actor, PlacedAt: now})
		} else { // a name that a hold of a model cannot carry: everything is held rather than nothing
			out = append(out, store.Hold{Scope: string(hold.All), Reason: cut(reason), PlacedBy: Actor, PlacedAt: now})
		}
	}
	return out
}

// standing says whether a model is held, and when a hold of it was last lifted.
func standing(model string, holds []store.Hold) (held bool, lifted time.Time) {
	for _, h := range holds {
		switch {
		case !list.SameName(h.Value, model):
		case h.LiftedAt.IsZero():
			held = true
		case h.LiftedAt.After(lifted):
			lifted = h.LiftedAt
		}
	}
	return held, lifted
}

func named(models []string, m string) bool {
	return slices.ContainsFunc(models, func(x string) bool { return list.SameName(x, m) })
}

// cut keeps a reason within what a hold may carry.
func cut(s string) string {
	const most = 900
	if len(s) <= most {
		return s
	}
	for i := most; ; i-- {
		if s[i]&0xC0 != 0x80 { // the start of a rune
			return s[:i]
		}
	}
}
