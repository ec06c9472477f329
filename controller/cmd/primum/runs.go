package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/mattn/go-isatty"

	adminv1 "primum/proto/admin/v1"
)

type runCommands struct {
	List   runListCommand   `cmd:"" help:"List runs."`
	Show   runShowCommand   `cmd:"" help:"Show a run."`
	Cancel runCancelCommand `cmd:"" help:"End a run: what has not been asked is not asked."`
}

type runListCommand struct{}

// Run lists.
func (c *runListCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	all, err := pages(func(token string) ([]*adminv1.Run, string, error) {
		r, err := call(adminv1.NewRunServiceClient(cl.conn).ListRuns, &adminv1.ListRunsRequest{PageToken: token})
		return r.GetRuns(), r.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return e.show(&adminv1.ListRunsResponse{Runs: all}, func() {
		var rows [][]string
		for _, r := range all {
			rows = append(rows, []string{short(r.GetName()), r.GetWindow(), r.GetState(), when(r.GetStarted()), when(r.GetEnded()), progress(r)})
		}
		e.table([]string{"RUN", "FOR", "STATE", "STARTED", "ENDED", "QUESTIONS"}, rows)
	})
}

type runShowCommand struct {
	Name string `arg:"" name:"run" help:"Run."`
}

// progress says in one line how far a run is.
func progress(r *adminv1.Run) string {
	total, left := uint32(0), r.GetTasks()["QUEUED"]+r.GetTasks()["DISPATCHED"]
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(r.GetTasks())) {
		n := r.GetTasks()[state]
		total += n
		if state != "QUEUED" && state != "DISPATCHED" {
			parts = append(parts, fmt.Sprintf("%d %s", n, strings.ToLower(state)))
		}
	}
	if left > 0 {
		parts = append(parts, fmt.Sprintf("%d to go", left))
	}
	return fmt.Sprintf("%d of %d done: %s", total-left, total, strings.Join(parts, ", "))
}

type runCancelCommand struct {
	Name   string `arg:"" name:"run" help:"Run."`
	Reason string `required:"" help:"Why."`
}

type watchCommand struct {
	Name    string        `arg:"" help:"Run, or plan whose run is waited for (plans/...)."`
	Timeout time.Duration `default:"30m" help:"Give up after this time."`
}

// Run follows.
func (c *watchCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	name := within("runs", c.Name)
	if strings.HasPrefix(c.Name, "plans/") {
		if name, err = awaitRun(ctx, adminv1.NewPlanServiceClient(cl.conn), c.Name); err != nil {
			return err
		}
	}
	stream, err := adminv1.NewRunServiceClient(cl.conn).WatchRun(ctx, &adminv1.WatchRunRequest{Name: name})
	if err != nil {
		return err
	}
	f, ok := e.out.(*os.File)
	live := ok && isatty.IsTerminal(f.Fd())
	var last *adminv1.Run
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		last = r
		if err := e.show(r, func() {
			line := fmt.Sprintf("%s %s: %s", short(r.GetName()), r.GetState(), progress(r))
			if live {
				fmt.Fprintf(e.out, "\r\x1b[K%s", plain(line))
				return
			}
			e.say("%s", line)
		}); err != nil {
			return err
		}
	}
	if live {
		fmt.Fprintln(e.out)
	}
	if s := last.GetState(); s != "SUCCEEDED" && s != "PARTIAL" {
		return refusedError{"the run ended " + s}
	}
	return nil
}

func awaitRun(ctx context.Context, plans adminv1.PlanServiceClient, name string) (string, error) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		p, err := plans.GetPlan(ctx, &adminv1.GetPlanRequest{Name: name})
		switch {
		case err != nil:
			return "", err
		case p.GetRun() != "":
			return p.GetRun(), nil
		case p.GetState() == "EXPIRED":
			return "", refusedError{"the approved time of the plan passed, and it was not carried out; was it approved in time?"}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// Run shows.
func (c *runShowCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	r, err := call(adminv1.NewRunServiceClient(cl.conn).GetRun, &adminv1.GetRunRequest{Name: within("runs", c.Name)})
	if err != nil {
		return err
	}
	return e.show(r, func() {
		e.say("%s %s: %s; %d refused when the plan was made", short(r.GetName()), r.GetState(), progress(r), r.GetRefusedInPlan())
	})
}

// Run cancels.
func (c *runCancelCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	r, err := call(adminv1.NewRunServiceClient(cl.conn).CancelRun, &adminv1.CancelRunRequest{Name: within("runs", c.Name), Reason: c.Reason})
	if err != nil {
		return err
	}
	return e.show(r, func() { e.say("%s %s: %s", short(r.GetName()), r.GetState(), progress(r)) })
}

type tasksCommand struct {
	Name string `arg:"" name:"run" help:"Run."`
}

// Run lists.
func (c *tasksCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	all, err := pages(func(token string) ([]*adminv1.Task, string, error) {
		r, err := call(adminv1.NewRunServiceClient(cl.conn).ListTasks, &adminv1.ListTasksRequest{Run: within("runs", c.Name), PageToken: token, PageSize: 1000})
		return r.GetTasks(), r.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return e.show(&adminv1.ListTasksResponse{Tasks: all}, func() {
		var rows [][]string
		for _, t := range all {
			rows = append(rows, []string{short(t.GetDevice()), t.GetQuestion(), t.GetState(), t.GetReason(), fmt.Sprint(t.GetMessages()), when(t.GetAsked()), t.GetDetail()})
		}
		e.table([]string{"DEVICE", "QUESTION", "STATE", "REASON", "MESSAGES", "ASKED", "DETAIL"}, rows)
	})
}

type reportCommand struct {
	Name   string `arg:"" name:"run" help:"Run."`
	Format string `default:"text" enum:"text,json,csv" help:"text, json or csv."`
	To     string `help:"File. Defaults to standard output."`
}

// Run reports.
func (c *reportCommand) Run(e *env) error {
	if e.json {
		c.Format = "json"
	}
	cl, err := e.dial()
	if err != nil {
		return err
	}
	r, err := call(adminv1.NewRunServiceClient(cl.conn).GetReport, &adminv1.GetReportRequest{Run: within("runs", c.Name), Format: c.Format})
	if err != nil {
		return err
	}
	if c.To != "" {
		return os.WriteFile(c.To, []byte(r.GetContent()), 0o600)
	}
	_, err = io.WriteString(e.out, paper(r.GetContent()))
	return err
}

type probeCommand struct {
	Device    string `arg:"" help:"Asset tag."`
	Kind      string `arg:"" help:"snmp.get, dicom.echo or hl7.ack."`
	RequestID string `help:"UUID of the call: the same one asks once. Defaults to a new one."`
}

// Run asks.
func (c *probeCommand) Run(e *env) error {
	if c.RequestID == "" {
		c.RequestID = uuid.NewString()
	}
	cl, err := e.dial()
	if err != nil {
		return err
	}
	r, err := callFor(100*time.Second, adminv1.NewProbeServiceClient(cl.conn).Probe, &adminv1.ProbeRequest{Device: within("devices", c.Device), Kind: c.Kind, RequestId: c.RequestID})
	if err != nil {
		return err
	}
	return e.show(r, func() {
		t := r.GetTask()
		e.say("%s  %s: %s %s %s", short(t.GetDevice()), t.GetQuestion(), t.GetState(), t.GetReason(), t.GetDetail())
		for _, f := range t.GetFacts() {
			e.say("  %s = %s (%s)", f.GetField(), f.GetValue(), f.GetOrigin())
		}
	})
}
