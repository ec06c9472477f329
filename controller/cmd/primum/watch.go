package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminv1 "primum/proto/admin/v1"
)

// pollEvery is the pause between two looks at a plan whose run is waited for.
const pollEvery = 500 * time.Millisecond

// progress says in one line how far a run is. A question that is done was answered or not, or refused by
// the agent before anything was sent.
func progress(r *adminv1.Run) string {
	order := []string{"ANSWERED", "ABSENT", "BUSY", "DECLINED", "DISTRESS", "REFUSED", "INCIDENT", "STOPPED", "UNKNOWN"}
	total, done := uint32(0), uint32(0)
	var others []string
	for state, n := range r.GetTasks() {
		total += n
		if state == "QUEUED" || state == "DISPATCHED" {
			continue
		}
		done += n
		if !slices.Contains(order, state) {
			others = append(others, state)
		}
	}
	total = max(total, r.GetPlanned())
	slices.Sort(others)
	var parts []string
	for _, state := range append(order, others...) {
		if n := r.GetTasks()[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, strings.ToLower(state)))
		}
	}
	if left := total - done; left > 0 {
		parts = append(parts, fmt.Sprintf("%d to go", left))
	}
	if len(parts) == 0 {
		return "no question"
	}
	return fmt.Sprintf("%d of %d done: %s", done, total, strings.Join(parts, ", "))
}

type watchCommand struct {
	Name    string        `arg:"" help:"Run, or plan whose run is waited for."`
	Timeout time.Duration `default:"30m" help:"Give up after this time."`
}

// Run follows.
func (c *watchCommand) Run(e *env) error {
	if c.Timeout <= 0 {
		return input("--timeout is %s; give a time such as 30m", c.Timeout)
	}
	cl, err := e.dial()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	name := within("runs", c.Name)
	if strings.HasPrefix(c.Name, "plans/") {
		if name, err = c.await(ctx, e, adminv1.NewPlanServiceClient(cl.conn)); err != nil {
			return err
		}
	}
	watch := func() (*adminv1.Run, error) {
		stream, err := adminv1.NewRunServiceClient(cl.conn).WatchRun(ctx, &adminv1.WatchRunRequest{Name: name})
		if err != nil {
			return nil, err
		}
		return e.follow(stream.Recv)
	}
	last, err := watch()
	if last == nil && status.Code(err) == codes.NotFound && !strings.Contains(c.Name, "/") {
		// no such run: it may be the name of a plan that has none yet
		run, no := c.await(ctx, e, adminv1.NewPlanServiceClient(cl.conn))
		switch {
		case status.Code(no) == codes.NotFound:
			return input("there is no run and no plan %s; primum run list and primum plans list name them", c.Name)
		case no != nil:
			return no
		default:
			name = run
			last, err = watch()
		}
	}
	switch {
	case err != nil && last != nil && over(ctx, err):
		return c.gaveUp("the run", last.GetState())
	case err != nil:
		return err
	case last == nil:
		return errors.New("the controller ended the watch without saying anything about the run")
	}
	switch state := last.GetState(); state {
	case "SUCCEEDED", "PARTIAL":
		return nil
	case "CANCELLED", "EXPIRED":
		return refusedError{"the run ended " + state + "; to see why: primum report " + short(name)}
	default:
		return refusedError{"the controller ended the watch, and the run is still " + state + "; watch it again"}
	}
}

// follow prints each change until the stream ends, and returns the last state.
func (e *env) follow(recv func() (*adminv1.Run, error)) (last *adminv1.Run, err error) {
	shown := ""
	if e.live && !e.json {
		defer func() {
			if shown != "" {
				fmt.Fprintln(e.out)
			}
		}()
	}
	for {
		r, err := recv()
		if errors.Is(err, io.EOF) {
			return last, nil
		}
		if err != nil {
			return last, err
		}
		last = r
		line := plain(fmt.Sprintf("%s %s: %s", short(r.GetName()), r.GetState(), progress(r)))
		if err := e.show(r, func() {
			switch {
			case line == shown:
			case e.live:
				fmt.Fprintf(e.out, "\r\x1b[K%s", line)
			default:
				e.say("%s", line)
			}
			shown = line
		}); err != nil {
			return last, err
		}
	}
}

// await polls a plan until its run is there, and says each time that something has changed.
func (c *watchCommand) await(ctx context.Context, e *env, plans adminv1.PlanServiceClient) (string, error) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	state, shown := "", ""
	for {
		one, cancel := context.WithTimeout(ctx, callTime)
		p, err := plans.GetPlan(one, &adminv1.GetPlanRequest{Name: within("plans", c.Name)})
		cancel()
		switch {
		case err != nil && state != "" && over(ctx, err):
			return "", c.gaveUp("the plan", state)
		case err != nil:
			return "", err
		case p.GetRun() != "":
			return p.GetRun(), nil
		case p.GetState() == "EXPIRED":
			return "", refusedError{"the plan is EXPIRED: its approved time passed, and it was not carried out; was it approved in time?"}
		}
		state = p.GetState()
		line := fmt.Sprintf("%s is %s, %d of %d signed; its approved time opens at %s. Waiting for the run.", short(p.GetName()), state, len(p.GetApprovedBy()), p.GetApproversNeeded(), when(p.GetOpens()))
		if line != shown && !e.json {
			e.say("%s", line)
		}
		shown = line
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", c.gaveUp("the plan", state)
		}
	}
}

// over reports whether a call failed because the time of the whole watch is up. The controller holds the
// same deadline, and its word on it can come a moment before our own clock says so.
func over(ctx context.Context, err error) bool {
	end, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && status.Code(err) == codes.DeadlineExceeded && time.Until(end) < time.Second
}

func (c *watchCommand) gaveUp(what, state string) error {
	return refusedError{fmt.Sprintf("%s passed, and %s is still %s; to wait longer, give --timeout", c.Timeout, what, state)}
}
