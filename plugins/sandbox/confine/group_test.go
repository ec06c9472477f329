package confine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// fakeTree is a folder that behaves as a cgroup v2 does: a new directory has its control files at once, and
// goes with them.
func fakeTree(t *testing.T, controllers string, missing ...string) tree {
	t.Helper()
	base := t.TempDir()
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(base+"/cgroup.controllers", controllers)
	write(base+"/cgroup.subtree_control", "")
	return tree{base: base, delegated: func(string) bool { return true },
		mkdir: func(path string) error {
			if err := os.Mkdir(path, 0o700); err != nil {
				return err
			}
			for _, l := range append(groupLimits(), [2]string{"cgroup.kill"}) {
				if !strings.Contains(strings.Join(missing, " "), l[0]) {
					write(filepath.Join(path, l[0]), "")
				}
			}
			return nil
		},
		rmdir: func(path string) error {
			if b, err := os.ReadFile(path + "/cgroup.kill"); err != nil || string(b) != "1" {
				t.Errorf("%s is removed and was not ended: %q, %v", path, b, err)
			}
			return os.RemoveAll(path)
		}}
}

// An agent that was killed leaves its groups behind: the next one begins all the same, and leaves alone what is not
// a plugin's or has somebody in it.
func TestWhatAKilledAgentLeftIsRemovedAndNothingElse(t *testing.T) {
	tr := fakeTree(t, "cpu memory pids\n")
	for _, name := range []string{"p123", tryGroup, "p77", "agent", "plain", "p12x"} {
		if err := tr.mkdir(filepath.Join(tr.base, name)); err != nil {
			t.Fatal(err)
		}
	}
	tr.rmdir = func(path string) error {
		if filepath.Base(path) == "p77" {
			return unix.EBUSY
		}
		return os.RemoveAll(path)
	}
	if err := tr.ready(); err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob(tr.base + "/*/pids.max")
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		all[i] = filepath.Base(filepath.Dir(all[i]))
	}
	if got := strings.Join(all, " "); got != "agent p12x p77 plain" {
		t.Errorf("left: %s", got)
	}
}

func TestAGroupHasItsLimitsBeforeAnythingRunsInIt(t *testing.T) {
	tr := fakeTree(t, "cpuset cpu io memory pids\n", "memory.swap.max")
	if err := tr.ready(); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(tr.base + "/cgroup.subtree_control"); err != nil || string(b) != "+cpu +memory +pids" {
		t.Errorf("handed down %q: %v", b, err)
	}
	g, err := tr.group("p1")
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"memory.max": "67108864", "memory.oom.group": "1", "pids.max": "32", "cpu.max": "25000 100000", "cgroup.max.descendants": "0"} {
		if b, err := os.ReadFile(filepath.Join(tr.base, "p1", file)); err != nil || string(b) != want {
			t.Errorf("%s is %q, want %q: %v", file, b, want, err)
		}
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(tr.base + "/p*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestATreeThatCannotLimitHoldsNobody(t *testing.T) {
	for name, tr := range map[string]tree{
		"no memory controller": fakeTree(t, "cpu pids\n"),
		"no controllers":       fakeTree(t, ""),
		"nothing there":        {base: t.TempDir() + "/none", delegated: func(string) bool { return true }, mkdir: func(p string) error { return os.Mkdir(p, 0o700) }, rmdir: os.Remove},
	} {
		if err := tr.ready(); err == nil {
			t.Errorf("%s: it is ready", name)
		}
	}
	own := fakeTree(t, "cpu memory pids\n")
	if own.delegated = delegated; own.ready() == nil {
		t.Error("a folder that nobody has delegated: it is ready")
	}
	tr := fakeTree(t, "cpu memory pids\n", "pids.max")
	tr.rmdir = os.RemoveAll // nothing ever ran in it
	if err := tr.ready(); err == nil {
		t.Error("a limit that cannot be set: it is ready")
	}
	if left, _ := filepath.Glob(tr.base + "/p*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestTheTreeIsTheOneAboveTheAgents(t *testing.T) {
	const v2 = "34 25 0:29 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
	const v1 = "35 25 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	for _, c := range []struct{ name, mounts, own, want string }{
		{"a unit with a subgroup", v2, "0::/system.slice/primum-agent.service/agent\n", "/sys/fs/cgroup/system.slice/primum-agent.service"},
		{"both versions", v1 + v2, "8:memory:/\n0::/a/b\n", "/sys/fs/cgroup/a"},
		{"no version 2", v1, "8:memory:/x\n", ""},
		{"the root", v2, "0::/\n", ""},
		{"outside of the namespace", v2, "0::/../other\n", ""},
		{"nothing", "", "", ""},
	} {
		tr, err := findTree([]byte(c.mounts), []byte(c.own))
		if tr.base != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", c.name, tr.base, err)
		}
	}
}

func TestProveSaysWhetherThereAreGroups(t *testing.T) {
	p := Prove(t.Context(), os.Getenv(confiner))
	if (p.Groups() == "") == (p.NoGroups() == "") {
		t.Errorf("groups %q, and none because %q", p.Groups(), p.NoGroups())
	}
	t.Logf("groups %q, none because %q", p.Groups(), p.NoGroups())
}
