package firstlight

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inTime starts the agent in a time namespace of its own (time_namespaces(7)), where its boot clock is off by a while,
// with the zone of another place: as after a restart of the machine, or a long suspend.
func (s *site) inTime(off time.Duration, zone string) {
	s.t.Helper()
	args := []string{"--time", "--boottime", fmt.Sprint(int64(off / time.Second)), "--fork", "--kill-child"}
	if os.Getuid() != 0 {
		args = append([]string{"--user", "--map-current-user"}, args...)
	}
	args = append(append(args, program("primum-agent")), s.agentArguments()...)
	cmd := exec.Command("unshare", args...)
	cmd.Env = append(os.Environ(), "TZ="+zone)
	s.agent = s.run("primum-agent", cmd)
	s.connected()
	child := below(cmd.Process.Pid)
	if len(child) == 0 {
		s.t.Fatal("unshare has started nothing")
	}
	offsets, err := os.ReadFile(fmt.Sprintf("/proc/%d/timens_offsets", child[0]))
	if err != nil || !strings.Contains(strings.Join(strings.Fields(string(offsets)), " "), fmt.Sprintf("boottime %d 0", off/time.Second)) {
		s.t.Fatalf("the agent's boot clock is not off by %s: %s, %v", off, offsets, err)
	}
}

// end kills the agent and waits for what it has started too.
func (s *site) end() {
	s.t.Helper()
	all := below(s.agent.cmd.Process.Pid)
	s.agent.kill()
	s.until("the agent has ended", bound, func() bool {
		for _, pid := range all {
			if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
				return false
			}
		}
		return true
	})
}

// H-018: the boot clock of an agent steps between its lives, back to the first seconds of a machine and thirty days
// ahead, and its time zone changes with it. What was asked rests as before, and what is due is asked once. "make failures"
// does both steps, "make test" the first.
func TestABootClockThatStepsChangesNoRestAndAsksNothingTwice(t *testing.T) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		t.Fatal(err)
	}
	up := time.Duration(ts.Nano())
	s := openIn(t, ward(6), "--most", "2")
	lives := []func(){
		func() {}, // that it has
		func() { s.end(); s.inTime((20*time.Second - up).Truncate(time.Second), "America/St_Johns") },
		func() { s.end(); s.inTime(30*24*time.Hour, "Europe/Berlin") },
	}
	if os.Getenv("PRIMUM_FAILURES") != "all" {
		lives = lives[:2]
	}
	for n, begin := range lives {
		begin()
		var tags []string // the device of this life, and all of the lives before
		for i := range n + 1 {
			tags = append(tags, fmt.Sprintf("20-%04d", i))
		}
		plan := s.plan(fmt.Sprintf("life-%d", n), "1s", "15s", tags...)
		s.approve(plan)
		s.until("the run fires", bound, func() bool { return strings.Contains(s.state(plan), " FIRED ") })
		state := strings.Fields(s.state(plan))
		run := state[len(state)-1]
		s.until("the run ends", bound, func() bool {
			out := s.primum("run", "show", run)
			return strings.Contains(out, " SUCCEEDED") || strings.Contains(out, " PARTIAL")
		})
		if tasks := s.primum("tasks", run); !strings.Contains(tasks, tags[n]) || !strings.Contains(tasks, " ANSWERED ") {
			t.Errorf("life %d: %s", n, tasks)
		}
		for _, tag := range tags { // those of the lives before rest
			if d := s.device(tag); d.Messages != 1 || d.Harmed() {
				t.Errorf("life %d: %s received %+v", n, tag, d)
			}
		}
	}
}
