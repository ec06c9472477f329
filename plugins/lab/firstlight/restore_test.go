package firstlight

import (
	"os"
	"strings"
	"testing"
	"time"
)

// H-042, H-035: a controller that is restored from a backup which is older than what its agent has trimmed gets no agent and has nothing
// asked. What is missing is said at both, and a person at the site has the agent begin a new journal.
func TestAControllerRestoredFromTooOldABackupHasNothingAsked(t *testing.T) {
	s := openIn(t, ward(3), "--journal-most", "4096", "--heads", "200ms")
	addresses := map[string]string{}
	for _, name := range []string{"admin", "control"} {
		b, err := os.ReadFile(s.path("controller/" + name + ".address"))
		if err != nil {
			t.Fatal(err)
		}
		addresses[name] = strings.TrimSpace(string(b))
	}
	restart := func() {
		s.startController(addresses["admin"], addresses["control"])
		s.until("the controller takes calls", bound, func() bool { _, _, code := s.try("primum", "", "agents", "list"); return code == 0 })
	}
	s.controller.kill()
	if err := os.CopyFS(s.path("backup"), os.DirFS(s.path("controller"))); err != nil {
		t.Fatal(err)
	}
	restart()
	s.connected()
	plan := s.plan("night", "2s", "60s")
	s.approve(plan)
	s.until("all are asked, and the journal is trimmed", time.Minute, func() bool {
		log, err := os.ReadFile(s.path("primum-agent.log"))
		return err == nil && strings.Contains(string(log), "the journal was trimmed") && s.received().Totals.Conversations >= 3
	})
	s.whole(3 * 4)

	s.controller.kill()
	if err := os.Rename(s.path("controller"), s.path("lost")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(s.path("controller"), os.DirFS(s.path("backup"))); err != nil {
		t.Fatal(err)
	}
	restart()
	s.until("the controller names what it lacks", time.Minute, func() bool {
		out, _, code := s.try("primum", "", "agents", "list")
		log, err := os.ReadFile(s.path("primum-agent.log"))
		return code == 0 && strings.Contains(out, " RECORDS_LOST ") && err == nil && strings.Contains(string(log), "records are missing here that the agent has trimmed: those from ")
	})
	before := s.received().Totals.Messages
	again := s.plan("again", "1s", "20s")
	s.approve(again)
	s.until("the run fires or its window ends", bound, func() bool { return !strings.Contains(s.state(again), " APPROVED ") })
	time.Sleep(time.Second) // more than an agent with a session takes
	if after := s.received().Totals.Messages; after != before {
		t.Errorf("%d messages reached devices without a session", after-before)
	}

	s.agent.kill()
	if out, complaints, code := s.try("primum-agent", "", "begin-journal", "--data", s.path("agent"), "--reason", "the backup was too old"); code != 0 {
		t.Fatalf("begin-journal: %s%s", out, complaints)
	}
	s.startAgent()
	s.connected()
	s.whole(2)
	for _, d := range s.received().Devices {
		if d.Messages > 1 || d.Harmed() {
			t.Errorf("%s received %+v", d.Tag, d)
		}
	}
}
