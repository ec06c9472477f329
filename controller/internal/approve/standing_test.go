package approve

import (
	"net/netip"
	"testing"
	"time"

	list "primum/safetylists"
	"primum/safetylists/permit"
)

// A standing approval carries a plan only under the site's own signatures, in its time and its scope
// (DESIGN 6.5).
func TestAStandingApprovalCarriesOnlyWhatItNames(t *testing.T) {
	q, err := list.ParseQuery(list.QuerySpec{Kind: list.SNMPGet, Port: 161, OIDs: list.DefaultOIDs()})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		standing func(*permit.Standing)
		plan     func(*permit.Plan)
		leave    func(*Leave)
		at       time.Duration
		ok       bool
	}{
		"as it was signed":            {ok: true},
		"any device":                  {standing: func(s *permit.Standing) { s.Devices = []string{permit.AllDevices} }, ok: true},
		"another site":                {plan: func(p *permit.Plan) { p.Site = "south" }},
		"another caller":              {plan: func(p *permit.Plan) { p.Caller = "tool" }},
		"another list":                {plan: func(p *permit.Plan) { p.List = permit.Digest{5} }},
		"another device":              {plan: func(p *permit.Plan) { p.Items[0].Device.ID = "B" }},
		"an allowance more":           {plan: func(p *permit.Plan) { p.Items[0].Statements = append(p.Items[0].Statements, "new") }},
		"no allowance":                {plan: func(p *permit.Plan) { p.Items[0].Statements = nil }},
		"a time beyond its end":       {standing: func(s *permit.Standing) { s.Until = opens.Add(59 * time.Minute) }},
		"before it begins":            {at: -2 * time.Hour},
		"after its end":               {at: 24 * time.Hour},
		"nobody signed it":            {leave: func(l *Leave) { l.Signed = nil }},
		"signed as a plan":            {leave: func(l *Leave) { l.Signed[0].Sig = permit.Sign(permit.DomainPlan, key(1), l.Standing) }},
		"signed by somebody else":     {leave: func(l *Leave) { l.Signed[0].Sig = permit.Sign(permit.DomainStanding, key(3), l.Standing) }},
		"changed after it was signed": {leave: func(l *Leave) { l.Standing = append(l.Standing, ' ') }},
		"the plan signed instead": {leave: func(l *Leave) {
			l.Plan, l.Signed = []permit.Signature{{By: "a", Sig: permit.Sign(permit.DomainPlan, key(1), l.Standing)}}, nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := permit.Standing{ID: "s", Site: "demo", Caller: "windows/w", Devices: []string{"A"}, Statements: []string{"one"}, List: permit.Digest{4},
				From: opens.Add(-time.Hour), Until: opens.Add(12 * time.Hour), PerDay: 5}
			p := permit.Plan{ID: "plans/1", Site: "demo", Origin: permit.FromWindow, Caller: "windows/w", Opens: opens, Closes: opens.Add(time.Hour), Made: opens,
				List: permit.Digest{4}, Refusals: []permit.PlanRefusal{}, Items: []permit.Item{{Device: list.Device{ID: "A", Address: netip.MustParseAddr("127.42.1.1")},
					Query: q, Limits: list.DefaultLimits(list.SNMPGet), Purpose: list.Identify, Statements: []string{"one"}}}}
			if c.standing != nil {
				c.standing(&s)
			}
			if c.plan != nil {
				c.plan(&p)
			}
			paper, err := s.Encode()
			if err != nil {
				t.Fatal(err)
			}
			doc, err := p.Encode()
			if err != nil {
				t.Fatal(err)
			}
			l := Leave{Standing: paper, Signed: []permit.Signature{{By: "a", Sig: permit.Sign(permit.DomainStanding, key(1), paper)}}}
			if c.leave != nil {
				c.leave(&l)
			}
			if r := l.Covers(site(1), doc, opens.Add(c.at)); (r == nil) != c.ok || r != nil && r.Reason != list.PlanNotApproved {
				t.Errorf("%v", r)
			}
			if c.ok && (l.Covers(site(2), doc, opens) == nil || l.Covers(site(1), doc[1:], opens) == nil) {
				t.Error("too few signatures, or no plan at all: carried")
			}
		})
	}
}
