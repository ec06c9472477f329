package firstlight

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// bound is the longest that anything here is waited for.
const bound = 40 * time.Second

// plan makes an approved time for some SNMP devices and its plan.
func (s *site) plan(name, opensIn, duration string, tags ...string) string {
	s.t.Helper()
	args := []string{"window", "create", name, "--opens-in", opensIn, "--duration", duration, "--zone", "UTC", "--agent", "demo"}
	for _, tag := range tags {
		args = append(args, "--device", tag)
	}
	s.primum(args...)
	plan := between(s.primum("plan", name, "--summary"), "Plan ", ",")
	if plan == "" {
		s.t.Fatal("there is no plan")
	}
	return plan
}

func (s *site) approve(plan string) {
	s.t.Helper()
	s.primum("approve", plan, "--key", s.path("approver.key"), "--by", "head-of-htm")
}

func (s *site) state(plan string) string {
	for line := range strings.Lines(s.primum("plans", "list")) {
		if f := strings.Fields(line); len(f) > 4 && f[0] == plan {
			return line
		}
	}
	return ""
}

func TestFromTheControllerNothingReachesADeviceWithoutApprovalOrUnderAHold(t *testing.T) {
	s := open(t)
	unsigned := s.plan("unsigned", "2s", "10s", "10-1001", "10-3001")
	_, complaints, code := s.try("primum", "", "approve", unsigned, "--key", s.path("list.key"), "--by", "head-of-htm")
	if code != 3 || !strings.Contains(complaints, "PLAN_NOT_APPROVED") {
		t.Errorf("signed with another key: exit %d: %s", code, complaints)
	}
	held := s.plan("held", "3s", "10s", "10-1002", "10-2001")
	s.approve(held)
	s.primum("hold", "place", "--all", "--reason", "construction work")
	cancelled := s.plan("cancelled", "3s", "12s", "10-1003")
	s.approve(cancelled)
	s.until("both approved times pass", bound, func() bool {
		return strings.Contains(s.state(unsigned), " EXPIRED ") && strings.Contains(s.state(held), " FIRED ")
	})
	run := func(plan string) string {
		f := strings.Fields(s.state(plan))
		return f[len(f)-1]
	}
	if !strings.Contains(s.primum("run", "show", run(cancelled)), " CANCELLED") {
		if out, complaints, code := s.try("primum", "", "run", "cancel", run(cancelled), "--reason", "not today"); code != 0 && !strings.Contains(complaints, "state") {
			t.Errorf("cancel: %s%s", out, complaints)
		}
	}
	s.until("the held run ends", bound, func() bool { return strings.Contains(s.primum("run", "show", run(held)), " EXPIRED") })
	if r := s.received(); r.Totals.Conversations != 0 {
		t.Errorf("something was sent: %v", r.Totals)
	}
	if out := s.primum("report", run(held)); !strings.Contains(out, "0 questions asked: none.") || !strings.Contains(out, "STOPPED") {
		t.Errorf("report: %s", out)
	}
}

func TestAnAgentKilledInMidRunAsksNothingTwiceAndEveryQuestionEndsInANamedState(t *testing.T) {
	s := open(t)
	tags := []string{"10-1001", "10-1002", "10-1003", "10-1004", "10-1006", "10-5001", "10-5002"}
	plan := s.plan("kills", "2s", "60s", tags...)
	s.approve(plan)
	s.until("the run fires", bound, func() bool { return strings.Contains(s.state(plan), " FIRED ") })
	f := strings.Fields(s.state(plan))
	run := f[len(f)-1]
	kills := 0
	s.until("the run ends", 2*time.Minute, func() bool {
		if out := s.primum("run", "show", run); strings.Contains(out, " SUCCEEDED") || strings.Contains(out, " PARTIAL") {
			return true
		}
		if kills < 8 {
			time.Sleep(rand.N(time.Second)) // any moment of a life is as good as another
			s.agent.kill()
			s.startAgent()
			kills++
		}
		return false
	})
	ends := map[string]int{}
	for line := range strings.Lines(s.primum("tasks", run)) {
		for _, state := range []string{"ANSWERED", "ABSENT", "UNKNOWN", "QUEUED", "DISPATCHED", "DISTRESS", "INCIDENT", "STOPPED", "REFUSED"} {
			if strings.Contains(line, " "+state+" ") {
				ends[state]++
			}
		}
	}
	t.Logf("%d kills: %v", kills, ends)
	if kills == 0 || ends["ANSWERED"]+ends["ABSENT"]+ends["UNKNOWN"] != len(tags) {
		t.Errorf("%d kills, ends %v", kills, ends)
	}
	for _, tag := range tags {
		if d := s.device(tag); d.Messages > 1 || d.Harmed() {
			t.Errorf("%s received %+v", tag, d)
		}
	}
	s.connected() // and it goes on
}
