package main

import (
	"cmp"
	"encoding/hex"
	"strings"
	"time"

	adminv1 "primum/proto/admin/v1"
	list "primum/safetylists"
)

type planCommand struct {
	Window  string `arg:"" help:"Approved time."`
	Summary bool   `help:"Leave out the bytes in hex."`
}

// Run plans.
func (c *planCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	p, err := call(adminv1.NewPlanServiceClient(cl.conn).CreatePlan, &adminv1.CreatePlanRequest{Window: within("windows", c.Window)})
	if err != nil {
		return err
	}
	return e.show(p, func() { e.plan(p, c.Summary) })
}

func (e *env) plan(p *adminv1.Plan, summary bool) {
	e.say("Plan %s, approved time %s to %s", short(p.GetName()), when(p.GetOpens()), when(p.GetCloses()))
	e.say("")
	e.say("WILL BE ASKED")
	for _, it := range p.GetItems() {
		e.say("  %s  %s", short(it.GetDevice()), list.NameAt(it.GetDeviceName(), it.GetPlace()))
		e.say("    %s, purpose %s, allowed by %s", it.GetQuestion(), it.GetPurpose(), strings.Join(it.GetStatements(), ", "))
		e.messages(it.GetMessages(), summary)
	}
	if len(p.GetItems()) == 0 {
		e.say("  nothing")
	}
	e.say("")
	e.say("WILL NOT BE ASKED")
	for _, r := range p.GetRefusals() {
		e.say("  %s  %s %s: %s", short(r.GetDevice()), list.NameAt(r.GetDeviceName(), r.GetPlace()), r.GetQuestion(), r.GetReason())
		e.say("    %s %s %s", r.GetWhat(), r.GetWhy(), r.GetDo())
		if r.GetDetail() != "" {
			e.say("    In particular: %s", r.GetDetail())
		}
	}
	e.say("")
	busy, open := p.GetBusy().AsDuration().Round(time.Second), p.GetCloses().AsTime().Sub(p.GetOpens().AsTime())
	e.say("%d questions, %d messages, %d octets, at most about %s; %d refused. Nothing has been sent.", len(p.GetItems()), p.GetMessages(), p.GetOctets(),
		cmp.Or(list.Span(busy), "0 s"), len(p.GetRefusals()))
	e.short(busy, open)
	for _, note := range p.GetNotes() {
		e.say("NOTE: %s", note)
	}
	e.say("State %s, signed by %d of %d. Digest %s", p.GetState(), len(p.GetApprovedBy()), p.GetApproversNeeded(), hex.EncodeToString(p.GetDigest()))
	if p.GetState() == "DRAFT" {
		e.say("To approve: primum approve %s --key FILE --by NAME", short(p.GetName()))
	}
}

type plansCommands struct {
	List plansListCommand `cmd:"" help:"List plans."`
	Show plansShowCommand `cmd:"" help:"Show a plan."`
}

type plansListCommand struct{}

// Run lists.
func (c *plansListCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	all, err := pages(func(token string) ([]*adminv1.Plan, string, error) {
		r, err := call(adminv1.NewPlanServiceClient(cl.conn).ListPlans, &adminv1.ListPlansRequest{PageToken: token})
		return r.GetPlans(), r.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return e.show(&adminv1.ListPlansResponse{Plans: all}, func() {
		var rows [][]string
		for _, p := range all {
			rows = append(rows, []string{short(p.GetName()), p.GetWindow(), when(p.GetOpens()), p.GetState(), strings.Join(p.GetApprovedBy(), " "), short(p.GetRun())})
		}
		e.table([]string{"NAME", "FOR", "OPENS", "STATE", "SIGNED BY", "RUN"}, rows)
	})
}

type plansShowCommand struct {
	Plan    string `arg:"" help:"Plan."`
	Summary bool   `help:"Leave out the bytes in hex."`
}

// Run shows.
func (c *plansShowCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	p, err := call(adminv1.NewPlanServiceClient(cl.conn).GetPlan, &adminv1.GetPlanRequest{Name: within("plans", c.Plan)})
	if err != nil {
		return err
	}
	return e.show(p, func() { e.plan(p, c.Summary) })
}
