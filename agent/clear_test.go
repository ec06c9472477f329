package agent

import (
	"crypto/ed25519"
	"net/netip"
	"testing"
	"time"

	"primum/agent/internal/papertest"
	controlv1 "primum/proto/control/v1"
	"primum/safetylists/evidence"
	"primum/safetylists/permit"
)

// H-001, H-009: a device that was in distress is asked again only on the signed word of an approver of the site,
// which is for that one distress: no controller lifts it, and no old word lifts a new one.
func TestOnlyAnApproversWordClearsADevice(t *testing.T) {
	p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:10167")})
	h := newAgent(t, p, nil)
	h.hand()
	distress := func(id string) {
		t.Helper()
		now := time.Now()
		h.mu.Lock()
		defer h.mu.Unlock()
		if _, err := h.note(evidence.Record{At: now, Kind: evidence.Started, Permit: id, Device: "10-1", MAC: "02:00:00:00:00:01", Address: "127.0.0.1"},
			evidence.Record{At: now, Kind: evidence.Outcome, Permit: id, Device: "10-1", Result: &evidence.Result{State: evidence.Distress, Detail: "made for a test"}}); err != nil {
			t.Fatal(err)
		}
	}
	good := permit.Clearance{Site: papertest.SiteName, Agent: papertest.Agent, Device: "10-1", Permit: "aa", Reason: "looked at, and well", At: time.Now().UTC().Truncate(time.Second)}
	stranger := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	clear := func(bend func(*permit.Clearance), sign func([]byte) (string, []byte)) string {
		t.Helper()
		c := good
		if bend != nil {
			bend(&c)
		}
		doc, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		by, sig := papertest.Approver, p.Signed(permit.DomainClearance, doc)
		if sign != nil {
			by, sig = sign(doc)
		}
		reason, _ := (*local)(h.Agent).Clear(&controlv1.Clearance{Document: doc, Signature: &controlv1.Signature{By: by, Sig: sig}})
		return reason
	}
	distress("aa")
	for name, c := range map[string]struct {
		bend func(*permit.Clearance)
		sign func([]byte) (string, []byte)
		said bool // it is told that it was refused
	}{
		"nobody's word": {nil, func([]byte) (string, []byte) { return papertest.Approver, nil }, true},
		"a stranger's": {nil, func(b []byte) (string, []byte) {
			return papertest.Approver, permit.Sign(permit.DomainClearance, stranger, b)
		}, true},
		"under a name that is none":  {nil, func(b []byte) (string, []byte) { return "nobody", p.Signed(permit.DomainClearance, b) }, true},
		"signed as another paper":    {nil, func(b []byte) (string, []byte) { return papertest.Approver, p.Signed(permit.DomainPlan, b) }, true},
		"for another agent":          {func(c *permit.Clearance) { c.Agent = "ward" }, nil, true},
		"for another site":           {func(c *permit.Clearance) { c.Site = "south" }, nil, true},
		"without a reason":           {func(c *permit.Clearance) { c.Reason = " " }, nil, true},
		"for another device":         {func(c *permit.Clearance) { c.Device = "10-2" }, nil, false},
		"for another distress of it": {func(c *permit.Clearance) { c.Permit = "bb" }, nil, false},
		"for a permit cut short":     {func(c *permit.Clearance) { c.Permit = "a" }, nil, false},
	} {
		if got := clear(c.bend, c.sign); (got != "") != c.said {
			t.Errorf("%s: %q", name, got)
		}
		if !h.guard.Distressed("10-1", "aa") {
			t.Fatalf("%s has cleared the device", name)
		}
	}
	if got := clear(nil, nil); got != "" || h.guard.Distressed("10-1", "aa") {
		t.Errorf("the approver's word: %q, and the device is left alone", got)
	}
	if got := clear(nil, nil); got != "" {
		t.Errorf("the same word again: %q", got)
	}
	distress("cc")
	if clear(nil, nil); !h.guard.Distressed("10-1", "cc") {
		t.Error("an old word has cleared a new distress")
	}
	words := 0
	for _, r := range h.records() {
		if r.Kind == evidence.Cleared {
			words++
			if r.Device != "10-1" || r.Permit != "aa" || r.Caller != papertest.Approver || r.Words != good.Reason || r.Digest == "" {
				t.Errorf("%+v", r)
			}
		}
	}
	if words != 1 {
		t.Errorf("%d words in the journal", words)
	}
	data := h.cfg.Data
	h.stop()
	again := &Agent{cfg: h.cfg}
	again.cfg.Data = data
	if err := again.openJournal(); err != nil {
		t.Fatal(err)
	}
	defer again.journal.Close()
	if again.guard.Distressed("10-1", "aa") || !again.guard.Distressed("10-1", "cc") {
		t.Error("a restart has changed what is left alone")
	}
}
