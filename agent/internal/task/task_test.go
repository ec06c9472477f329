package task

import (
	"testing"
	"time"

	list "primum/safetylists"
	"primum/safetylists/permit"
)

func TestTheAgentsOwnDecisionHasToRestOnAllowancesThatTheStandingApprovalNames(t *testing.T) {
	signed := Task{}
	if r := signed.Within([]string{"b.allow"}); r != nil {
		t.Errorf("a plan that was signed itself: %s", r)
	}
	if _, ok := signed.Budget(); ok {
		t.Error("a plan that was signed itself has a budget")
	}
	under := Task{stand: &permit.Standing{Statements: []string{"a.allow"}, PerDay: 3}}
	if r := under.Within([]string{"a.allow"}); r != nil {
		t.Errorf("the named allowance: %s", r)
	}
	for name, statements := range map[string][]string{"another": {"b.allow"}, "one more": {"a.allow", "b.allow"}, "none": nil} {
		if r := under.Within(statements); r == nil || r.Reason != list.PlanNotApproved {
			t.Errorf("%s: %v", name, r)
		}
	}
	if n, ok := under.Budget(); !ok || n != 3 {
		t.Errorf("budget %d, %v", n, ok)
	}
}

// A permit never outlives the approved time, so that both end together at its close: what is said then is
// what a technician can mend.
func TestAnApprovedTimeThatIsOverIsNamedBeforeThePermitThatEndsWithIt(t *testing.T) {
	opens := time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)
	closes := opens.Add(time.Hour)
	made := Task{
		permit: permit.Permit{ID: permit.ID{1}, From: opens.Add(30 * time.Minute), Until: closes},
		item:   permit.Item{Limits: list.Limits{Cap: 10 * time.Second}},
		plan:   permit.Plan{Opens: opens, Closes: closes},
	}
	short := made
	short.permit.Until = closes.Add(-20 * time.Minute)
	late := made
	late.plan.Opens = closes.Add(-time.Minute)
	for name, c := range map[string]struct {
		task Task
		at   time.Time
		want list.Reason
	}{
		"in time":                            {made, closes.Add(-10 * time.Second), ""},
		"too late to end in time":            {made, closes.Add(-10*time.Second + 1), list.OutsideWindow},
		"at the close":                       {made, closes, list.OutsideWindow},
		"after the close":                    {made, closes.Add(time.Second), list.OutsideWindow},
		"before the approved time":           {late, opens.Add(40 * time.Minute), list.OutsideWindow},
		"before the permit":                  {made, opens, list.PermitExpired},
		"the permit ended, and not the time": {short, closes.Add(-20 * time.Minute), list.PermitExpired},
		"no permit":                          {Task{}, opens, list.PermitInvalid},
	} {
		got := list.Reason("")
		if r := c.task.Valid(c.at); r != nil {
			got = r.Reason
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
