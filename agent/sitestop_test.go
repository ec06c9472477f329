package agent

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"primum/agent/internal/papertest"
	list "primum/safetylists"
	"primum/safetylists/evidence"
)

// speak gives the agent a word at the site, as a person does, and expects it to be taken.
func (h *testAgent) speak(word string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.cfg.Data, identityFile), []byte("{}"), 0o600); err != nil {
		h.t.Fatal(err)
	}
	var out, bad bytes.Buffer
	if code := Main([]string{word, "--data", h.cfg.Data, "--reason", "made for a test"}, "", &out, &bad); code != 0 {
		h.t.Fatalf("%s: %d %s", word, code, bad.String())
	}
	if want := map[string]string{"stop": "This agent asks nothing", "resume": "This agent asks again"}[word]; !strings.HasPrefix(out.String(), want) {
		h.t.Errorf("%s says %q", word, out.String())
	}
}

// H-035: a person at the site stops the agent without a controller. The stop is in force when the command returns,
// stands in the record with name and reason, outlives a restart and the loss of its file, and ends by another word alone.
func TestTheSiteStopsItsAgentAndOnlyTheSitesWordEndsIt(t *testing.T) {
	p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:10171")})
	seen := startCapture(t, "udp port 10171")
	h := newAgent(t, p, nil)
	h.hand()
	h.speak("stop")
	h.order(p.Permit(t, nil))
	if got := h.outcome(); got.State != evidence.Refused || got.Reason != list.Held || !strings.Contains(got.Detail, "made for a test") {
		t.Errorf("%+v", got)
	}
	if lines := seen.lines(); len(lines) != 0 {
		t.Errorf("%d packets after the stop:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	var word evidence.Record
	for _, r := range h.records() {
		if r.Kind == evidence.SiteStop {
			word = r
		}
	}
	if word.Caller == "" || word.Words != "made for a test" {
		t.Errorf("the record: %+v", word)
	}
	h.stop()
	if err := os.Remove(filepath.Join(h.cfg.Data, stopFile)); err != nil {
		t.Fatal(err)
	}
	again := &Agent{cfg: h.cfg, log: h.log, wake: make(chan struct{}, 1)}
	if err := again.openJournal(); err != nil {
		t.Fatal(err)
	}
	defer again.journal.Close()
	stopped := func(want bool, when string) {
		t.Helper()
		again.lookStop()
		if is, _ := again.guard.SiteStop(); is != want {
			t.Errorf("%s: stopped %v", when, is)
		}
	}
	stopped(true, "after a restart, without the file")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(h.cfg.Data, stopFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(`{"stopped":false,"by":"x","at":"2026-01-01T00:00:00Z","reason":"an old word"}`)
	stopped(true, "after an old word")
	now := time.Now().UTC()
	put(`{"stopped":false,"by":"x","at":"` + now.Format(time.RFC3339Nano) + `","reason":"looked at"}`)
	stopped(false, "after a newer word")
	for name, text := range map[string]string{"half a word": `{"stopped":fal`, "a word without a reason": `{"stopped":false,"by":"x","at":"2036-01-01T00:00:00Z"}`, "an unknown field": `{"stopped":false,"by":"x","reason":"y","at":"2036-01-01T00:00:00Z","x":1}`} {
		put(text)
		stopped(true, name)
		now = time.Now().UTC()
		put(`{"stopped":false,"by":"x","at":"` + now.Format(time.RFC3339Nano) + `","reason":"looked at"}`)
		stopped(false, "after "+name+" was given anew")
	}
}

func TestAWordOfTheSiteNeedsAnAgentAndAReason(t *testing.T) {
	for name, args := range map[string][]string{
		"no reason":  {"stop", "--data", t.TempDir()},
		"no agent":   {"stop", "--data", t.TempDir(), "--reason", "x"},
		"no folder":  {"resume", "--data", filepath.Join(t.TempDir(), "none"), "--reason", "x"},
		"only space": {"resume", "--data", t.TempDir(), "--reason", " "},
	} {
		var out, bad bytes.Buffer
		if code := Main(args, "", &out, &bad); code != 2 || bad.Len() == 0 || out.Len() != 0 {
			t.Errorf("%s: %d %q %q", name, code, out.String(), bad.String())
		}
	}
}
