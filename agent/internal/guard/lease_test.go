package guard

import (
	"testing"
	"time"

	list "primum/safetylists"
)

func TestLeaveIsAskedOfLeaseClockAndHolds(t *testing.T) {
	now := time.Hour
	pump := list.Device{ID: "10-1", Claims: []list.Claim{{Manufacturer: "Maker", Model: "One"}}}
	wall := time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC)
	fresh := Lease{Until: now + 15*time.Second, HoldVersion: 7, Wall: wall, Boot: now}
	for name, c := range map[string]struct {
		change         func(g *Guard)
		begins, goesOn list.Reason // empty: it may
		skipHolds      bool
	}{
		"all is well":                      {change: func(*Guard) {}},
		"no holds heard of":                {skipHolds: true, change: func(*Guard) {}, begins: list.NoLease, goesOn: list.NoLease},
		"no lease":                         {change: func(g *Guard) { g.DropLease() }, begins: list.NoLease, goesOn: list.NoLease},
		"the lease has ended":              {change: func(g *Guard) { l := fresh; l.Until = now; g.SetLease(l) }, begins: list.NoLease, goesOn: list.NoLease},
		"a newer hold is coming":           {change: func(g *Guard) { l := fresh; l.HoldVersion = 8; g.SetLease(l) }, begins: list.Held, goesOn: list.Held},
		"an older lease":                   {change: func(g *Guard) { l := fresh; l.HoldVersion = 6; g.SetLease(l) }, begins: list.Held},
		"31 s ahead":                       {change: func(g *Guard) { l := fresh; l.Skew = 31 * time.Second; g.SetLease(l) }, begins: list.ClockSkew, goesOn: list.ClockSkew},
		"31 s behind":                      {change: func(g *Guard) { l := fresh; l.Skew = -31 * time.Second; g.SetLease(l) }, begins: list.ClockSkew, goesOn: list.ClockSkew},
		"the lease names no clock":         {change: func(g *Guard) { l := fresh; l.Wall = time.Time{}; g.SetLease(l) }, begins: list.ClockSkew, goesOn: list.ClockSkew},
		"a hold of the device":             {change: func(g *Guard) { g.SetHolds(7, []Hold{{Kind: HoldDevice, Value: "10-1"}}) }, begins: list.Held, goesOn: list.Held},
		"a hold of the model":              {change: func(g *Guard) { g.SetHolds(7, []Hold{{Kind: HoldModel, Value: "maker/ONE"}}) }, begins: list.Held, goesOn: list.Held},
		"a hold of the model, with spaces": {change: func(g *Guard) { g.SetHolds(7, []Hold{{Kind: HoldModel, Value: " maker / One  "}}) }, begins: list.Held, goesOn: list.Held},
		"a hold of the site, in capitals":  {change: func(g *Guard) { g.site = "North"; g.SetHolds(7, []Hold{{Kind: HoldSite, Value: "NORTH "}}) }, begins: list.Held, goesOn: list.Held},
		"a hold of another site":           {change: func(g *Guard) { g.site = "North"; g.SetHolds(7, []Hold{{Kind: HoldSite, Value: "South"}}) }},
		"a hold of another":                {change: func(g *Guard) { g.SetHolds(7, []Hold{{Kind: HoldDevice, Value: "10-2"}}) }},
		"a hold of a kind to come":         {change: func(g *Guard) { g.SetHolds(7, []Hold{{Kind: "ward", Value: "x"}}) }, begins: list.Held, goesOn: list.Held},
		"older holds than known":           {change: func(g *Guard) { g.SetHolds(6, nil) }},
		"the agent is stopping":            {change: func(g *Guard) { g.Stop() }, begins: list.Stopped, goesOn: list.Stopped},
	} {
		t.Run(name, func(t *testing.T) {
			g := New(Config{Boot: func() time.Duration { return now }})
			if !c.skipHolds {
				g.SetHolds(7, nil)
			}
			g.SetLease(fresh)
			c.change(g)
			for begins, want := range map[bool]list.Reason{true: c.begins, false: c.goesOn} {
				got := list.NotDecided
				if r := g.leave(pump, begins, wall); r != nil {
					got = r.Reason
				}
				if got != want {
					t.Errorf("begins %v: %q, not %q", begins, got, want)
				}
			}
		})
	}
}

func TestARefusalNamesItsHold(t *testing.T) {
	for want, h := range map[string]Hold{
		"hold 7 of device 10-1: smoke":     {Name: "holds/7", Kind: HoldDevice, Value: "10-1", Reason: "smoke"},
		"hold 8 of model Maker/One: smoke": {Name: "holds/8", Kind: HoldModel, Value: "Maker/One", Reason: "smoke"},
		"a hold of everything: smoke":      {Kind: HoldAll, Reason: "smoke"},
		"hold 9 of everything: smoke":      {Name: "holds/9", Reason: "smoke"}, // a kind that is not known stops everything
	} {
		if got := h.words(); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}
