package agent

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"primum/agent/internal/papertest"
	controlv1 "primum/proto/control/v1"
	list "primum/safetylists"
	"primum/safetylists/evidence"
)

// children are the plugin processes of this process, by their name.
func children(t *testing.T, name string) (pids []int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		status, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended meanwhile
		}
		dir := filepath.Dir(f)
		cmdline, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		if strings.Contains(string(status), fmt.Sprintf("PPid:\t%d\n", os.Getpid())) && strings.Contains(string(cmdline), name) {
			pid, _ := strconv.Atoi(filepath.Base(dir))
			pids = append(pids, pid)
		}
	}
	return pids
}

// memory reads what a process has in its writable memory.
func memory(t *testing.T, pid int) []byte {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	var out bytes.Buffer
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); err != nil || !strings.HasPrefix(rights, "rw") || to-from > 64<<20 {
			continue
		}
		b := make([]byte, to-from)
		if n, err := mem.ReadAt(b, from); err == nil || n > 0 {
			out.Write(b[:n])
		}
	}
	return out.Bytes()
}

// H-026, S8, S11, P8: after questions of versions 2c and 3, neither community nor pass phrase nor a key made of
// it stands in the agent's files, its journal, its log, the dump that a crash prints, or the memory of the plugin.
// That the plugin's memory was really read shows in the request-id's neighbour: the objects of the question.
func TestSecretsStandNowhereButInTheAgent(t *testing.T) {
	startSnmpd(t, t.TempDir(), 10161)
	for _, version := range []string{"2c", "3"} {
		t.Run(version, func(t *testing.T) {
			var log words
			var h *testAgent
			if version == "3" {
				h = securedAgent(t, 10161, "SHA256", "AES128")
				h.secrets = []*controlv1.Secret{usm(t, h.Agent.secrets.PublicKey(), "SHA256AES128", authPhrase, privPhrase, 1)}
			} else {
				h = newAgent(t, papertest.Make(t, time.Now(), papertest.Options{}), nil)
			}
			h.log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			h.hand()
			for _, s := range h.secrets { // what an agent does when a secret is set
				if err := (*local)(h.Agent).Secret(s); err != nil {
					t.Fatal(err)
				}
			}
			h.order(h.papers.Permit(t, nil))
			if got := h.outcome(); got.State != evidence.Answered {
				t.Fatalf("%+v", got)
			}
			places := map[string][]byte{"the log": []byte(log.String())}
			plugins := children(t, "primum-probe-snmp")
			if len(plugins) == 0 {
				t.Fatal("no plugin is running")
			}
			for _, pid := range plugins {
				m := memory(t, pid)
				if !bytes.Contains(m, []byte(list.DefaultOIDs()[0])) {
					t.Errorf("the memory of plugin %d was not read: %d octets", pid, len(m))
				}
				places["the memory of the plugin"] = append(places["the memory of the plugin"], m...)
			}
			dump := make([]byte, 4<<20)
			places["the dump of a crash"] = dump[:runtime.Stack(dump, true)]
			err := filepath.WalkDir(h.cfg.Data, func(path string, d fs.DirEntry, err error) error {
				if err != nil || !d.Type().IsRegular() {
					return err
				}
				places[path], err = os.ReadFile(path)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			for place, b := range places {
				for _, canary := range []string{community, authPhrase, privPhrase} {
					if bytes.Contains(b, []byte(canary)) {
						t.Errorf("%s holds %q", place, canary)
					}
				}
			}
		})
	}
}
