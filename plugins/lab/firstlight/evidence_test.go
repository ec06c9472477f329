package firstlight

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
	// what was sent, by whose approval; and of another device, that nothing was
	var doc struct {
		SignedAt time.Time `json:"signed_at"`
	}
	if err := json.Unmarshal([]byte(s.primum("--output", "json", "evidence", "verify", export)), &doc); err != nil {
		t.Fatal(err)
	}
	from, to := doc.SignedAt.Add(-time.Hour).Format(time.RFC3339), doc.SignedAt.Format(time.RFC3339)
	asked := s.primum("touched", "10-1001", "--between", from, doc.SignedAt.Add(time.Second).Format(time.RFC3339))
	for _, want := range []string{"started, permit ", "outcome, permit ", "ANSWERED", "approved by head-of-htm", plan, "Before the time: no question", "Something was sent"} {
		if !strings.Contains(asked, want) {
			t.Errorf("%q is not in: %s", want, asked)
		}
	}
	// the same as packets, which another program reads
	s.primum("touched", "10-1001", "--between", from, doc.SignedAt.Add(time.Second).Format(time.RFC3339), "--pcap", s.path("asked.pcapng"))
	packets, err := exec.CommandContext(t.Context(), "tshark", "-r", s.path("asked.pcapng"), "-d", "udp.port==10161,snmp", "-T", "fields", "-e", "ip.dst", "-e", "snmp.name").Output()
	if got := strings.Split(strings.TrimSpace(string(packets)), "\n"); err != nil || len(got) != 2 || !strings.HasPrefix(got[0], "127.42.1.1\t1.3.6.1.2.1.1.1.0,") || strings.Contains(got[1], "1.3.6") {
		t.Errorf("tshark: %v: %q", err, packets)
	}
	if secret, err := os.ReadFile(s.path("lab/community")); err != nil || len(bytes.TrimSpace(secret)) == 0 || bytes.Contains(whole, bytes.TrimSpace(secret)) {
		t.Errorf("the community is in the record, or is not known: %v", err)
	}
	if out := s.primum("touched", "10-1002", "--between", from, to); !strings.Contains(out, "Nothing was sent to it in this time.") {
		t.Errorf("of a device that was not asked: %s", out)
	}
	if out := s.primum("touched", "10-1002", "--between", from, doc.SignedAt.Add(time.Hour).Format(time.RFC3339)); !strings.Contains(out, "That is not shown yet") {
		t.Errorf("of a time that no head reaches: %s", out)
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
