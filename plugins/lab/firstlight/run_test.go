package firstlight

import (
	"fmt"
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
	s.primum("key", "new", "--out", s.path("other.key"))
	_, complaints, code := s.try("primum", "", "approve", unsigned, "--key", s.path("other.key"), "--by", "head-of-htm")
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
	if out := s.primum("report", run(held)); !strings.Contains(out, "0 questions asked: none.") || !strings.Contains(out, "HELD") || !strings.Contains(out, "it waits for a hold of everything: construction work") {
		t.Errorf("report: %s", out)
	}
}

// vela is the model of the demo hospital's monitors.
const vela = `  vela-3:
    manufacturer: Aldane Medical
    model: Vela 3
    version: "3.2.1"
    clinical_use: monitoring
    risk_class: other
    snmp: {port: 10161, descr: "Aldane Medical Vela 3 patient monitor, software 3.2.1", object_id: 1.3.6.1.4.1.99991.1.3, uptime: 211h17m}
`

// ward is a hospital of one slow model, so that a run lasts longer than many lives of an agent.
func ward(units int) string {
	var b strings.Builder
	b.WriteString("hospital: ward\nmodels:\n" + vela + "    behaviour: {delay: 400ms}\nunits:\n")
	for i := range units {
		fmt.Fprintf(&b, "  - {of: vela-3, tag: 20-%04d, serial: S%d, mac: \"02:a1:d0:01:%02x:%02x\", address: 127.43.%d.%d, hostname: h%d, department: Ward, location: \"bed %d\", owner: Clinical engineering, fragile: true}\n",
			i, i, i/200, i%200, i/200, 1+i%200, i, i)
	}
	return b.String()
}

func TestAnAgentKilledFiftyTimesInMidRunAsksNothingTwiceAndEveryQuestionEndsInANamedState(t *testing.T) {
	const units, kills = 240, 50
	s := openIn(t, ward(units), "--most", "2")
	plan := s.plan("kills", "2s", "5m")
	s.approve(plan)
	s.until("the run fires", bound, func() bool { return strings.Contains(s.state(plan), " FIRED ") })
	f := strings.Fields(s.state(plan))
	run := f[len(f)-1]
	over := func() bool {
		out := s.primum("run", "show", run)
		return strings.Contains(out, " SUCCEEDED") || strings.Contains(out, " PARTIAL")
	}
	done := 0
	for ; done < kills && !over(); done++ {
		before := s.received().Totals.Messages
		s.until("the agent asks", bound, func() bool { return s.received().Totals.Messages > before || over() })
		time.Sleep(rand.N(700 * time.Millisecond)) // any moment of a life is as good as another
		s.agent.kill()
		s.startAgent()
	}
	s.until("the run ends", 3*time.Minute, over)
	ends := map[string]int{}
	for line := range strings.Lines(s.primum("tasks", run)) {
		for _, state := range []string{"ANSWERED", "ABSENT", "UNKNOWN", "QUEUED", "DISPATCHED", "DISTRESS", "INCIDENT", "STOPPED", "REFUSED", "BUSY", "DECLINED"} {
			if strings.Contains(line, " "+state+" ") {
				ends[state]++
			}
		}
	}
	t.Logf("%d kills: %v", done, ends)
	if done != kills || ends["ANSWERED"]+ends["UNKNOWN"] != units || ends["UNKNOWN"] > 2*kills || ends["ANSWERED"] < units-2*kills {
		t.Errorf("%d kills, ends %v", done, ends)
	}
	asked, unknown := 0, ends["UNKNOWN"]
	for _, d := range s.received().Devices {
		if d.Messages > 1 || d.Harmed() {
			t.Errorf("%s received %+v", d.Tag, d)
		}
		asked += d.Messages
	}
	// what was answered was asked; what is unknown may have been
	if asked < ends["ANSWERED"] || asked > ends["ANSWERED"]+unknown {
		t.Errorf("%d devices were asked, %d answered, %d unknown", asked, ends["ANSWERED"], unknown)
	}
	s.connected() // and it goes on
}
