package firstlight

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite"
)

// below are the processes that a process has started, and theirs.
func below(pid int) (all []int) {
	entries, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	parents := map[int][]int{}
	for _, e := range entries {
		b, err := os.ReadFile(e)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		f := strings.Fields(rest)
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(e)))
		if len(f) < 2 {
			continue
		}
		if parent, err := strconv.Atoi(f[1]); err == nil {
			parents[parent] = append(parents[parent], child)
		}
	}
	for next := parents[pid]; len(next) > 0; {
		all = append(all, next...)
		var more []int
		for _, p := range next {
			more = append(more, parents[p]...)
		}
		next = more
	}
	return all
}

// failure is what a test does to a site while it has four slow devices asked, two at a time.
type failure struct {
	name   string
	before func(*trial)      // before the run
	fail   func(*trial)      // once the first device has been asked, or before the run
	early  bool              // before the run
	long   bool              // only with PRIMUM_FAILURES=all: "make failures"
	mend   func(*trial)      // before the run has ended
	late   func(*trial)      // instead, after every question has been seen in a named state
	says   map[string]string // a log, or what a command has said, to what a technician reads there
}

// trial is one failure on its way.
type trial struct {
	*site
	disk *disk
	db   *sql.DB
	said map[string]string
}

func failures() []failure {
	full := func(tr *trial) { tr.fill() }
	return []failure{
		{name: "plugin killed",
			fail: func(tr *trial) {
				for _, p := range below(tr.agent.cmd.Process.Pid) {
					_ = syscall.Kill(p, syscall.SIGKILL) // it may have ended
				}
			},
			says: map[string]string{"tasks": "PLUGIN_FAILED", "primum-agent.log": "fault=DIED"}},
		{name: "agent killed", long: true,
			fail: func(tr *trial) { tr.agent.kill(); tr.startAgent() },
			says: map[string]string{"tasks": "the agent stopped between the permit and the outcome; the device may have been asked"}},
		{name: "agent's machine stands still for 4 s", long: true,
			fail: func(tr *trial) {
				for _, s := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
					if err := tr.agent.cmd.Process.Signal(s); err != nil {
						tr.t.Fatal(err)
					}
					if s == syscall.SIGSTOP {
						time.Sleep(4 * time.Second)
					}
				}
			},
			says: map[string]string{"tasks": "the agent's machine kept it from running for "}},
		{name: "controller killed", long: true,
			fail: func(tr *trial) {
				admin, control := strings.TrimSpace(tr.read("controller/admin.address")), strings.TrimSpace(tr.read("controller/control.address"))
				tr.controller.kill()
				tr.startController(admin, control)
			},
			says: map[string]string{"primum-agent.log": "session with the controller ended"}},
		{name: "database locked", long: true,
			fail: func(tr *trial) {
				db, err := sql.Open("sqlite", "file:"+tr.path("controller/primum.db")+"?_pragma=busy_timeout(5000)")
				if err != nil {
					tr.t.Fatal(err)
				}
				db.SetMaxOpenConns(1)
				if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
					tr.t.Fatal(err)
				}
				tr.db = db
				_, complaints, code := tr.try("primum", "", "hold", "place", "--device", "20-0039", "--reason", "made for a test")
				tr.said["primum"] = fmt.Sprint(code, " ", complaints)
				tr.until("the session ends", 20*time.Second, func() bool { return strings.Contains(tr.read("primum-agent.log"), "holds the controller's database") })
			},
			mend: func(tr *trial) {
				if _, err := tr.db.Exec("ROLLBACK"); err != nil {
					tr.t.Fatal(err)
				}
				tr.db.Close()
			},
			says: map[string]string{"primum": "1 primum: another program holds the controller's database (primum.db) locked; nothing was changed",
				"primum-agent.log": "another program holds the controller's database"}},
		{name: "fsync fails for a while",
			before: func(tr *trial) { tr.onFailingDisk() },
			fail: func(tr *trial) {
				tr.disk.fails.Store(true)
				tr.until("the session ends", 20*time.Second, func() bool { return !strings.Contains(tr.primum("agents", "list"), " CONNECTED ") })
			},
			mend: func(tr *trial) { tr.disk.fails.Store(false) },
			says: map[string]string{"primum-agent.log": "the record cannot be written: nothing is asked, and there is no session, until it can. Check the disk of the data directory",
				"tasks": "the device may have been asked"}},
		{name: "fsync fails for good", long: true,
			before: func(tr *trial) { tr.onFailingDisk() },
			fail:   func(tr *trial) { tr.disk.fails.Store(true) },
			late:   func(tr *trial) { tr.disk.fails.Store(false) },
			says:   map[string]string{"silent": "agent demo has had no session since "}},
		{name: "agent killed, and not started again", long: true,
			fail: func(tr *trial) { tr.agent.kill() },
			late: func(tr *trial) { tr.startAgent() },
			says: map[string]string{"silent": "the device may have been asked. When the agent is back, its record says it",
				"tasks": "the agent stopped between the permit and the outcome; the device may have been asked"}},
		{name: "disk full in the run", long: true,
			before: func(tr *trial) { tr.onSmallDisk() },
			fail:   full,
			says:   map[string]string{"tasks": "the disk of the agent's data directory is full"}},
		{name: "disk full before the run", fail: full, early: true, long: true,
			says: map[string]string{"tasks": "the disk of the agent's data directory is full: no new work before there is space on it"}},
	}
}

// H-013, H-039, CONTROL-PLANE 4.7: whatever fails in the middle of a run, each question ends in a named state within
// 60 s of the failure, no device is asked twice, no record is lost, and a line says what it is. PRIMUM_FAILURES=all tries
// those too that take their time.
func TestWhateverFailsEachQuestionEndsInANamedState(t *testing.T) {
	s := openIn(t, ward(40), "--most", "2")
	for n, f := range failures() {
		if f.long && os.Getenv("PRIMUM_FAILURES") != "all" {
			continue
		}
		tr := &trial{site: s, said: map[string]string{}}
		var devices []string
		for i := range 4 {
			devices = append(devices, fmt.Sprintf("20-%04d", 4*n+i))
		}
		if f.before != nil {
			f.before(tr)
		}
		failed := time.Now()
		if f.early {
			f.fail(tr)
		}
		plan := s.plan(fmt.Sprintf("failure-%d", n), "2s", "20s", devices...)
		s.approve(plan)
		s.until(f.name+": the run fires", bound, func() bool { return strings.Contains(s.state(plan), " FIRED ") })
		state := strings.Fields(s.state(plan))
		run := state[len(state)-1]
		if !f.early {
			s.until(f.name+": the first device is asked", bound, func() bool { return s.device(devices[0]).Messages == 1 })
			failed = time.Now()
			f.fail(tr)
		}
		if f.mend != nil {
			f.mend(tr)
		}
		if f.late != nil {
			s.until(f.name+": each question has a named state", time.Until(failed.Add(time.Minute)), func() bool {
				tr.said["silent"] = s.primum("tasks", run)
				return namedAll(tr.said["silent"], devices)
			})
			t.Logf("%s: %s after it, and before it is mended\n%s", f.name, time.Since(failed).Round(100*time.Millisecond), tr.said["silent"])
			f.late(tr)
			failed = time.Now()
		}
		s.until(f.name+": the run ends", time.Until(failed.Add(time.Minute)), func() bool {
			out, _, code := s.try("primum", "", "run", "show", run)
			return code == 0 && (strings.Contains(out, " SUCCEEDED") || strings.Contains(out, " PARTIAL") || strings.Contains(out, " EXPIRED"))
		})
		took := time.Since(failed)
		tr.said["tasks"] = s.primum("tasks", run)
		t.Logf("%s: %s after it\n%s", f.name, took.Round(100*time.Millisecond), tr.said["tasks"])
		if !f.early {
			s.connected()
		}
		for _, d := range devices {
			if got := s.device(d); got.Messages > 1 || got.Harmed() {
				t.Errorf("%s: %s received %+v", f.name, d, got)
			}
		}
		if !namedAll(tr.said["tasks"], devices) {
			t.Errorf("%s: a device has no named state", f.name)
		}
		for where, words := range f.says {
			text, ok := tr.said[where]
			if !ok {
				text = tr.read(where)
			}
			if !strings.Contains(text, words) {
				t.Errorf("%s: %s does not say %q:\n%s", f.name, where, words, text)
			}
		}
	}
	// What the agent has recorded is whole, over all of it.
	s.primum("evidence", "export", "demo", "--to", s.path("record"))
	if out := s.primum("evidence", "verify", s.path("record")); !strings.Contains(out, "Whole: ") {
		t.Error(out)
	}
}

// namedAll reports whether the tasks of all devices have a state that says what became of them.
func namedAll(tasks string, devices []string) bool {
	for _, d := range devices {
		if !slices.ContainsFunc(strings.Split(tasks, "\n"), func(line string) bool {
			return strings.Contains(line, d) && slices.ContainsFunc([]string{"ANSWERED", "ABSENT", "UNKNOWN", "STOPPED", "REFUSED"}, func(s string) bool { return strings.Contains(line, " "+s+" ") })
		}) {
			return false
		}
	}
	return true
}

func (s *site) read(name string) string {
	b, err := os.ReadFile(s.path(name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

// onFailingDisk starts the agent anew, its fsync answered by the test.
func (tr *trial) onFailingDisk() {
	tr.agent.kill()
	cmd, answer := onDisk(tr.t, program("primum-agent"), tr.agentArguments()...)
	tr.agent = tr.site.run("primum-agent", cmd)
	tr.disk = answer()
	tr.connected()
}

// onSmallDisk starts the agent anew on a disk of its own that has hardly more room than the reserve of its journal, in a
// mount namespace of its own.
func (tr *trial) onSmallDisk() {
	tr.agent.kill()
	small := tr.path("small")
	if err := os.Mkdir(small, 0o700); err != nil {
		tr.t.Fatal(err)
	}
	args := tr.agentArguments()
	args[slices.Index(args, "--data")+1] = small
	script := `mount --make-rprivate / && mount -t tmpfs -o size=80m,mode=700 none "$1" && cp -a "$2"/. "$1"/ && shift 2 && exec "$@"`
	cmd := exec.Command("/bin/sh", append([]string{"-c", script, "sh", small, tr.path("agent"), program("primum-agent")}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	tr.agent = tr.site.run("primum-agent", cmd)
	tr.connected()
}

// fill takes the space that is left on the agent's disk.
func (tr *trial) fill() {
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/root%s", tr.agent.cmd.Process.Pid, tr.path("small/ballast")), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		tr.t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 4096)
	for {
		if _, err := f.Write(b); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			tr.t.Fatal(err)
		}
	}
}
