// Package fire makes of an approved plan the run that carries it out, and watches the clock for plans
// whose time has come. It sends nothing: dispatch does, when the agent is there.
package fire

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"primum/controller/internal/bell"
	"primum/controller/internal/store"
	"primum/safetylists/permit"
)

// Run makes the run of a plan and its tasks.
func Run(name string, p store.Plan, doc permit.Plan) (store.Run, []store.Task) {
	r := store.Run{Name: name, Plan: p.Name, Caller: p.Caller, Agent: p.Agent, Opens: p.Opens, Closes: p.Closes, State: "PENDING",
		Planned: len(doc.Items), Refused: len(doc.Refusals)}
	tasks := make([]store.Task, len(doc.Items))
	for i, it := range doc.Items {
		tasks[i] = store.Task{Run: name, Item: i, Device: it.Device.ID, Kind: string(it.Query.Kind()), Question: it.Query.String(), State: "QUEUED"}
	}
	return r, tasks
}

// Grace is how long after the end of an approved time the agent may still report (CONTROL-PLANE 4.7:
// lease, longest conversation, and the way).
const Grace = 2 * time.Minute

// Clock fires plans and settles runs. One controller has one.
type Clock struct {
	Store *store.Store
	Bell  *bell.Bell
	Now   func() time.Time
	Log   *slog.Logger
}

// tick is how late a run may begin.
const tick = 250 * time.Millisecond

// Run looks at what is due until ctx ends.
func (c *Clock) Run(ctx context.Context) {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		if err := c.Look(ctx); err != nil && ctx.Err() == nil {
			c.Log.Error("look at what is due", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// Look does once what is due at this moment. A plan fires in its approved time alone: one that was
// approved too late, or whose time passed while the controller was down, expires.
func (c *Clock) Look(ctx context.Context) error {
	now := c.Now()
	due, err := c.Store.DuePlans(ctx)
	if err != nil {
		return err
	}
	for _, p := range due {
		if now.Before(p.Opens) || !now.Before(p.Closes) {
			continue
		}
		if err := c.fire(ctx, p.Name, now); err != nil {
			return err
		}
	}
	if err := c.Store.ExpirePlans(ctx, now); err != nil {
		return err
	}
	changed, err := c.Store.Settle(ctx, now, Grace)
	if changed {
		c.Bell.Ring()
	}
	return err
}

func (c *Clock) fire(ctx context.Context, name string, now time.Time) error {
	p, err := c.Store.Plan(ctx, name)
	if err != nil {
		return err
	}
	doc, _, err := permit.DecodePlan(p.Document)
	if err != nil {
		return err
	}
	r, tasks := Run(name, p, doc)
	a := store.Audit{At: now, Actor: "controller", Verb: "fire plan", Resource: "runs/" + r.Name}
	err = c.Store.Fire(ctx, r, tasks, nil, nil, a)
	if errors.Is(err, store.ErrState) || errors.Is(err, store.ErrExists) {
		return nil // fired before, or another plan of this occurrence was
	}
	if err == nil {
		c.Log.Info("run fired", "run", r.Name, "questions", len(tasks), "agent", r.Agent)
		c.Bell.Ring()
	}
	return err
}
