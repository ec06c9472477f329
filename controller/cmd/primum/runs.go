package main

import (
	"fmt"
	"io"

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

type runCancelCommand struct {
	Name   string `arg:"" name:"run" help:"Run."`
	Reason string `required:"" help:"Why."`
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
	To     string `help:"File, made with mode 0600. Defaults to standard output."`
}

// Run reports.
func (c *reportCommand) Run(e *env) error {
	if err := free(c.To); err != nil {
		return err
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
		if err := writeNew(c.To, r.GetContent()); err != nil {
			return err
		}
		e.say("The report is in %s.", c.To)
		return nil
	}
	if e.json {
		return e.show(r, func() {})
	}
	text := paper(r.GetContent())
	if c.Format == "json" {
		text = escapedLines(r.GetContent())
	}
	_, err = io.WriteString(e.out, text)
	return err
}
