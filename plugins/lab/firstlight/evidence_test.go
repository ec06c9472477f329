package firstlight

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// H-029: from the agent's disk to a file on another desk: what was asked can be shown, and a change cannot be hidden.
func TestTheRecordOfARunIsExportedVerifiedProvenAndAChangeInItIsFound(t *testing.T) {
	witness := filepath.Join(t.TempDir(), "witness")
	s := openIn(t, "", "--heads", "200ms", "--witness", witness)
	plan := s.plan("night", "2s", "10s", "10-1001")
	s.approve(plan)
	s.until("the run ends", bound, func() bool {
		return strings.Contains(s.state(plan), " FIRED ") && s.received().Totals.Conversations > 0
	})
	export := s.path("export")
	s.until("a signed head stands over the outcome", bound, func() bool {
		_ = os.Remove(export)
		if _, _, code := s.try("primum", "", "evidence", "export", "demo", "--to", export); code != 0 {
			return false
		}
		_, _, code := s.try("primum", "", "evidence", "verify", export, "--witness", witness) // there is no newer head
		b, err := os.ReadFile(export)
		return code == 0 && err == nil && strings.Contains(string(b), `"kind":"outcome"`)
	})
	whole, err := os.ReadFile(export)
	if err != nil {
		t.Fatal(err)
	}
	key := between(string(whole), "key ", "\n")
	if out := s.primum("evidence", "verify", export, "--key", key); !strings.Contains(out, "Whole: ") {
		t.Errorf("verify: %s", out)
	}
	s.primum("evidence", "prove", export, "--record", "1", "--to", s.path("proof"))
	if out := s.primum("evidence", "verify", s.path("proof"), "--key", key); !strings.Contains(out, "Record 1 of agent demo stands under its signed head") {
		t.Errorf("verify a proof: %s", out)
	}
	at := strings.Index(string(whole), `"kind":"outcome"`) + len(`"kind":"out`)
	changed := []byte(string(whole))
	changed[at] = 'x'
	if err := os.WriteFile(s.path("changed"), changed, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, complaints, code := s.try("primum", "", "evidence", "verify", s.path("changed")); code != 1 || !strings.Contains(complaints, "is 78 and was 63") {
		t.Errorf("a changed octet: exit %d: %s", code, complaints)
	}
	if out := s.primum("agents", "list"); !strings.Contains(out, " CONNECTED ") {
		t.Errorf("agents: %s", out)
	}
}
