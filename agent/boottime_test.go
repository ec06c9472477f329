package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"primum/agent/internal/guard"
	"primum/agent/internal/journal"
	list "primum/safetylists"
	"primum/safetylists/evidence"
	"primum/safetylists/permit"
)

// H-018, H-013: the boot clock of an agent steps between its lives, back to 20 s after the start of a machine and thirty
// days ahead (time_namespaces(7)). Each life is offered new permits for every device that was asked before, and one more
// device: those before rest, whatever that clock says, and the new one is asked.
func TestABootClockThatStepsEndsNoRest(t *testing.T) {
	h, p, first := victims(t, 3, 10)
	up := bootTime()
	for n, off := range []time.Duration{0, 20*time.Second - up.Truncate(time.Second), 30 * 24 * time.Hour} {
		l := first
		l.Epoch = uint64(n + 1)
		for i, item := range p.Plan.Items[:n+1] {
			l.Permits = append(l.Permits, p.Permit(t, func(pm *permit.Permit) {
				pm.Epoch, pm.Item, pm.Device = l.Epoch, uint32(i), item.Device.ID
				pm.Order, pm.Ordinal = "o0", uint32(i)
				pm.Address = netip.AddrPortFrom(item.Device.Address, item.Query.Port())
			}))
		}
		outcomes := stepped(t, l, off)
		for i, item := range p.Plan.Items[:n+1] {
			got := outcomes[item.Device.ID]
			d, _ := h.Report().Device(item.Device.ID)
			if want := (i == n); d.Messages != 1 || d.Harmed() || want && got.State != evidence.Answered || !want && got.Reason != list.MinInterval {
				t.Errorf("life %d, boot clock off by %s: %s ended %+v, and received %+v", n, off, item.Device.ID, got, d)
			}
		}
	}
}

// stepped lives one life with its boot clock off by a while, until each of its permits has an outcome, and returns them
// by device.
func stepped(t *testing.T, l life, off time.Duration) map[string]evidence.Result {
	t.Helper()
	b, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(l.Data, "life.json")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--time", "--boottime", fmt.Sprint(int64(off / time.Second)), "--fork", "--kill-child", self}
	if os.Getuid() != 0 {
		args = append([]string{"--user", "--map-current-user"}, args...)
	}
	cmd := exec.Command("unshare", args...)
	cmd.Env = append(os.Environ(), victim+"="+path, confiner+"="+proven().Program())
	said := startAndAwait(t, cmd, "working")
	out := map[string]evidence.Result{}
	for deadline := time.Now().Add(30 * time.Second); len(out) < len(l.Permits); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d outcomes: %s", len(out), len(l.Permits), said.String())
		}
		clear(out)
		mine := false
		for _, r := range copied(t, l.Data) {
			mine = mine || r.Kind == evidence.Session && r.Epoch == l.Epoch
			if mine && r.Kind == evidence.Outcome {
				out[r.Device] = *r.Result
			}
		}
	}
	// The lives share a journal: the next one begins when this one is gone, with what it has started.
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed: its error says only that
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		j, err := journal.Open(filepath.Join(l.Data, "journal"), time.Now(), guard.New(guard.Config{Boot: bootTime}))
		if errors.Is(err, journal.ErrInUse) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		return out
	}
	t.Fatal("the agent does not end")
	return nil
}

// copied are the records of a journal that an agent is writing.
func copied(t *testing.T, dir string) (out []evidence.Record) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "journal", "journal.log"))
	if err != nil {
		t.Fatal(err)
	}
	beside := t.TempDir()
	if err := os.WriteFile(filepath.Join(beside, "journal.log"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(beside, time.Now(), guard.New(guard.Config{Boot: bootTime}))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	all, err := j.Read(1, 1<<20, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range all {
		r, _, err := evidence.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}
