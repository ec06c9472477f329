package task

import (
	"testing"

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
