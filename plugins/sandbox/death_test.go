package sandbox_test

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"primum/plugins/sandbox"
)

// TestPluginDiesWithTheAgent starts this test binary again as an agent, kills it, and looks for the
// plugin it had started.
func TestPluginDiesWithTheAgent(t *testing.T) {
	if os.Getenv("PRIMUM_TEST_AGENT") != "" {
		s, _ := spec(t, "honest", "")
		p, err := sandbox.Start(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stdout.WriteString("plugin " + strconv.Itoa(p.Pid()) + "\n"); err != nil {
			t.Fatal(err)
		}
		<-p.Done() // until it is killed
		return
	}
	agent := exec.Command(os.Args[0], "-test.run=^TestPluginDiesWithTheAgent$")
	agent.Env = append(os.Environ(), "PRIMUM_TEST_AGENT=1", "TMPDIR="+t.TempDir())
	out, err := agent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	pid := 0
	for in := bufio.NewScanner(out); pid == 0 && in.Scan(); {
		if number, ok := strings.CutPrefix(in.Text(), "plugin "); ok {
			pid, _ = strconv.Atoi(number)
		}
	}
	if err := agent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = agent.Wait() // it was killed: that is its state
	if pid == 0 {
		t.Fatal("the agent started no plugin")
	}
	waitFor(t, "the plugin to die", func() bool {
		// An orphan is reaped by somebody else; a zombie runs no more.
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		return errors.Is(unix.Kill(pid, 0), unix.ESRCH) || err != nil || strings.Contains(string(stat), ") Z ")
	})
}
