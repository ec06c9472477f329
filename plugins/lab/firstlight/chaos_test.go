package firstlight

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// H-013, H-042, CONTROL-PLANE 4.7: agent and controller are killed at any moment of a run, one, the other, or both, while the agent's
// journal is trimmed again and again. No device
// receives more than one message, and each question ends in a named state. PRIMUM_KILLS says how often; "make chaos"
// does it 200 times.
func TestAgentAndControllerKilledInMidRunAskNothingTwice(t *testing.T) {
	kills := 8
	if s := os.Getenv("PRIMUM_KILLS"); s != "" {
		var err error
		if kills, err = strconv.Atoi(s); err != nil || kills < 1 || kills > 1000 {
			t.Fatalf("PRIMUM_KILLS is %q; it is from 1 to 1000", s)
		}
	}
	units := 30 + 5*kills
	s := openIn(t, ward(units), "--most", "2", "--journal-most", "16384", "--heads", "200ms")
	addresses := map[string]string{}
	for _, name := range []string{"admin", "control"} {
		b, err := os.ReadFile(s.path("controller/" + name + ".address"))
		if err != nil {
			t.Fatal(err)
		}
		addresses[name] = strings.TrimSpace(string(b))
	}
	plan := s.plan("chaos", "2s", fmt.Sprint(time.Duration(2+kills/5)*time.Minute))
	s.approve(plan)
	s.until("the run fires", bound, func() bool { return strings.Contains(s.state(plan), " FIRED ") })
	f := strings.Fields(s.state(plan))
	run := f[len(f)-1]
	over := func() bool { // the controller may be on its way up
		out, _, code := s.try("primum", "", "run", "show", run)
		return code == 0 && (strings.Contains(out, " SUCCEEDED") || strings.Contains(out, " PARTIAL"))
	}
	who := map[string]int{}
	for done := 0; done < kills && !over(); done++ {
		before, waited := s.received().Totals.Messages, time.Now()
		s.until("the agent asks, or has no lease for a while", bound, func() bool {
			return s.received().Totals.Messages > before || time.Since(waited) > 5*time.Second
		})
		time.Sleep(rand.N(700 * time.Millisecond)) // any moment of a life is as good as another
		switch name := []string{"agent", "controller", "both"}[rand.N(3)]; name {
		case "agent":
			who[name]++
			s.agent.kill()
			s.startAgent()
		case "controller":
			who[name]++
			s.controller.kill()
			s.startController(addresses["admin"], addresses["control"])
		default:
			who[name]++
			s.controller.kill()
			s.agent.kill()
			s.startController(addresses["admin"], addresses["control"])
			s.startAgent()
		}
	}
	s.until("the run ends", time.Duration(4+kills/5)*time.Minute, over)
	ends := map[string]int{}
	all := 0
	for line := range strings.Lines(s.primum("tasks", run)) {
		for _, state := range []string{"ANSWERED", "ABSENT", "UNKNOWN", "QUEUED", "DISPATCHED", "DISTRESS", "INCIDENT", "STOPPED", "REFUSED", "BUSY", "DECLINED"} {
			if strings.Contains(line, " "+state+" ") {
				ends[state]++
				all++
			}
		}
	}
	asked := 0
	for _, d := range s.received().Devices {
		if d.Messages > 1 || d.Harmed() {
			t.Errorf("%s received %+v", d.Tag, d)
		}
		asked += d.Messages
	}
	t.Logf("killed %v; %d devices asked; ends %v", who, asked, ends)
	if all != units || ends["QUEUED"]+ends["DISPATCHED"]+ends["DISTRESS"]+ends["INCIDENT"] != 0 || ends["ANSWERED"] == 0 {
		t.Errorf("%d questions, ends %v", all, ends)
	}
	if asked < ends["ANSWERED"] || asked > ends["ANSWERED"]+ends["UNKNOWN"]+ends["STOPPED"]+ends["ABSENT"] {
		t.Errorf("%d devices were asked, ends %v", asked, ends)
	}
	s.connected() // and it goes on
	if log, err := os.ReadFile(s.path("primum-agent.log")); err != nil || !strings.Contains(string(log), "the journal was trimmed") {
		t.Errorf("the journal was never trimmed: %v", err)
	}
	s.whole(4 * ends["ANSWERED"])
}
