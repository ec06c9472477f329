package agent

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	list "primum/safetylists"
	"primum/safetylists/evidence"
)

// H-042: a person has a trimmed journal put aside. The new one begins at record 1 with that person's word, and forbids what
// the old one did.
func TestANewJournalForbidsWhatTheOneThatWasPutAsideForbade(t *testing.T) {
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, identityFile), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &Agent{cfg: Config{Data: data, Policy: list.Lab, Journal: 1}}
	if err := a.openJournal(); err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	var records []evidence.Record
	for i := range 40 {
		id := fmt.Sprint("p", i)
		records = append(records, evidence.Record{At: at, Kind: evidence.Started, Permit: id, Device: fmt.Sprint("d", i), RestMS: 86_400_000, Query: "q"},
			evidence.Record{At: at, Kind: evidence.Outcome, Permit: id, Device: fmt.Sprint("d", i), Result: &evidence.Result{State: evidence.Distress, Detail: "made for a test"}})
	}
	records = append(records, evidence.Record{At: at, Kind: evidence.Session, Epoch: 7}, evidence.Record{At: at, Kind: evidence.HoldSeen, Version: 9})
	if _, err := a.note(records...); err != nil {
		t.Fatal(err)
	}
	a.log = slog.New(slog.DiscardHandler)
	a.acked = 60
	if err := a.trim(); err != nil || a.journal.First() != 61 {
		t.Fatalf("the first record is %d: %v", a.journal.First(), err)
	}
	command := func() (string, string, int) {
		var out, bad bytes.Buffer
		code := Main([]string{"begin-journal", "--data", data, "--reason", "the backup was too old"}, "", &out, &bad)
		return out.String(), bad.String(), code
	}
	if _, bad, code := command(); code != 1 || !strings.Contains(bad, "the agent is running") {
		t.Errorf("while it runs: %d %s", code, bad)
	}
	incarnation := a.journal.Incarnation()
	if err := a.journal.Close(); err != nil {
		t.Fatal(err)
	}
	if out, bad, code := command(); code != 0 || !strings.Contains(out, "up to record 83") {
		t.Fatalf("%d %s%s", code, out, bad)
	}
	again := &Agent{cfg: a.cfg}
	if err := again.openJournal(); err != nil {
		t.Fatal(err)
	}
	defer again.journal.Close()
	all, err := again.journal.Read(1, 10, 1<<20)
	if err != nil || len(all) != 2 || again.journal.Incarnation() == incarnation || !strings.Contains(string(all[1]), `"words":"the backup was too old"`) {
		t.Errorf("the new journal has %d records: %v", len(all), err)
	}
	for i := range 40 {
		if !again.guard.Distressed(fmt.Sprint("d", i), fmt.Sprint("p", i)) {
			t.Errorf("d%d is no longer left alone", i)
		}
	}
	if epoch, hold := again.guard.Seen(); epoch != 7 || hold != 9 {
		t.Errorf("session %d, hold %d", epoch, hold)
	}
}
