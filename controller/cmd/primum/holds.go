package main

import (
	"strings"

	adminv1 "primum/proto/admin/v1"
)

type holdCommands struct {
	Place holdPlaceCommand `cmd:"" help:"Stop a device, a model, a site, or everything. Everybody may."`
	Lift  holdLiftCommand  `cmd:"" help:"Lift a hold. Needs the role clinical or admin."`
	List  holdListCommand  `cmd:"" help:"List holds."`
}

type holdPlaceCommand struct {
	Device string `xor:"scope" required:"" help:"Asset tag. Give one of --device, --model, --site and --all."`
	Model  string `xor:"scope" required:"" help:"Maker/model as in primum devices list, such as Maker/Model 3."`
	Site   string `xor:"scope" required:"" help:"Site as in primum agents list."`
	All    bool   `xor:"scope" required:"" help:"Everything."`
	Reason string `required:"" help:"Why."`
}

// Run places.
func (c *holdPlaceCommand) Run(e *env) error {
	r := &adminv1.PlaceHoldRequest{Reason: c.Reason}
	switch {
	case c.All:
		r.Scope = "all"
	case c.Device != "":
		r.Scope, r.Value = "device", tag(c.Device)
	case c.Model != "":
		r.Scope, r.Value = "model", c.Model
	default:
		r.Scope, r.Value = "site", c.Site
	}
	cl, err := e.dial()
	if err != nil {
		return err
	}
	h, err := call(adminv1.NewHoldServiceClient(cl.conn).PlaceHold, r)
	if err != nil {
		return err
	}
	return e.show(h, func() {
		e.hold(h)
		if len(h.GetPending()) > 0 {
			e.say("  It is on its way to them; primum hold list says when it is in force.")
		}
	})
}

func (e *env) hold(h *adminv1.Hold) {
	what := strings.TrimSpace(h.GetScope() + " " + h.GetValue())
	if h.GetScope() == "all" {
		what = "everything"
	}
	e.say("%s %s: %s, by %s at %s: %s", h.GetName(), h.GetState(), what, h.GetPlacedBy(), when(h.GetPlacedAt()), h.GetReason())
	if h.GetState() == "LIFTED" {
		e.say("  lifted by %s: %s", h.GetLiftedBy(), h.GetLiftReason())
		e.say("  agents that know: %s; that do not yet: %s", none(h.GetInForce()), none(h.GetPending()))
		return
	}
	e.say("  in force on: %s; not confirmed yet: %s", none(h.GetInForce()), none(h.GetPending()))
}

type holdLiftCommand struct {
	Hold   string `arg:"" help:"Hold, such as holds/7."`
	Reason string `required:"" help:"Why."`
}

// Run lifts.
func (c *holdLiftCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	h, err := call(adminv1.NewHoldServiceClient(cl.conn).LiftHold, &adminv1.LiftHoldRequest{Name: within("holds", c.Hold), Reason: c.Reason})
	if err != nil {
		return err
	}
	return e.show(h, func() { e.hold(h) })
}

type holdListCommand struct {
	All bool `help:"Lifted ones too."`
}

// Run lists.
func (c *holdListCommand) Run(e *env) error {
	cl, err := e.dial()
	if err != nil {
		return err
	}
	all, err := pages(func(token string) ([]*adminv1.Hold, string, error) {
		r, err := call(adminv1.NewHoldServiceClient(cl.conn).ListHolds, &adminv1.ListHoldsRequest{PageToken: token, All: c.All})
		return r.GetHolds(), r.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return e.show(&adminv1.ListHoldsResponse{Holds: all}, func() {
		for _, h := range all {
			e.hold(h)
		}
		if len(all) == 0 {
			e.say("No hold is in force.")
		}
	})
}

// none is a list in words, also an empty one.
func none(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}
