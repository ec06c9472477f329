package agent

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"primum/agent/internal/papertest"
	"primum/agent/internal/pluginhost"
	"primum/plugins/lab"
	"primum/plugins/sandbox"
	list "primum/safetylists"
	"primum/safetylists/evidence"
)

// lie is one thing that a plugin does wrong in a conversation, and what must come of it.
type lie struct {
	mode     string
	at       int // the message that is spoilt
	question list.Kind
	state    evidence.State
	reason   list.Reason
	messages int // that the device received
	fault    pluginhost.Kind
}

func lies() []lie {
	const snmp, dicom, hl7 = list.SNMPGet, list.DICOMEcho, list.HL7Ack
	all := []lie{
		{"honest", 0, snmp, evidence.Answered, "", 1, ""},
		{"honest", 0, dicom, evidence.Answered, "", 3, ""},
		{"honest", 0, hl7, evidence.Answered, "", 1, ""},

		// Another PDU in the middle of an association, after its opening, and with or without its end.
		{"first", 1, dicom, evidence.Incident, list.PluginBreach, 1, pluginhost.Breached},
		{"cstore", 1, dicom, evidence.Incident, list.PluginBreach, 1, pluginhost.Breached},
		{"cfind", 1, dicom, evidence.Incident, list.PluginBreach, 1, pluginhost.Breached},
		{"cmove", 1, dicom, evidence.Incident, list.PluginBreach, 1, pluginhost.Breached},
		{"random", 1, dicom, evidence.Incident, list.PluginBreach, 1, pluginhost.Breached},
		{"first", 2, dicom, evidence.Incident, list.PluginBreach, 2, pluginhost.Breached},
		{"abort", 2, dicom, evidence.Incident, list.PluginBreach, 2, pluginhost.Breached},
		{"early", 2, dicom, evidence.Unknown, "", 2, ""}, // no release: the agent aborts

		// After the end.
		{"again", 0, snmp, evidence.Incident, list.PluginBreach, 1, pluginhost.Breached},
		{"again", 0, hl7, evidence.Incident, list.PluginBreach, 1, pluginhost.Breached},
		{"again", 0, dicom, evidence.Incident, list.PluginBreach, 3, pluginhost.Breached},

		// A plugin that fails, before and in the middle of a question.
		{"die", 0, snmp, evidence.Refused, list.PluginFailed, 0, pluginhost.Died},
		{"die", 1, dicom, evidence.Unknown, list.PluginFailed, 1, pluginhost.Died},
		{"hang", 0, snmp, evidence.Refused, list.PluginFailed, 0, pluginhost.Hung},
		{"hang", 1, dicom, evidence.Unknown, list.PluginFailed, 1, pluginhost.Hung},
		{"panic", 1, dicom, evidence.Unknown, list.PluginFailed, 1, pluginhost.Broke},
		{"nothing", 0, snmp, evidence.Refused, list.PluginFailed, 0, pluginhost.Broke},
		{"describe", 0, snmp, evidence.Refused, list.PluginFailed, 0, pluginhost.Broke},
		{"giant", 0, snmp, evidence.Refused, list.PluginFailed, 0, pluginhost.Flooded},
		{"flood", 0, snmp, evidence.Incident, list.PluginBreach, 1, pluginhost.Breached}, // its second copy is one message too many
		{"slow", 0, snmp, evidence.Answered, "", 1, ""},

		// A plugin that lies about what it heard.
		{"early", 0, snmp, evidence.Refused, list.PluginFailed, 0, ""},
		{"lie", 0, snmp, evidence.Answered, "", 1, ""},
		{"lie", 0, hl7, evidence.Answered, "", 1, ""},
		{"undeclared", 0, snmp, evidence.Unknown, list.PluginFailed, 1, pluginhost.Broke},
		{"status", 0, snmp, evidence.Distress, "", 1, ""},
	}
	for question, modes := range map[list.Kind][]string{
		snmp:  {"random", "flip", "cut", "trailing", "empty", "large", "getnext", "response", "set", "getbulk", "trap", "object", "write", "id", "version1"},
		dicom: {"random", "flip", "cut", "trailing", "empty", "large", "title", "abort"},
		hl7:   {"random", "flip", "cut", "trailing", "empty", "large", "production", "clock", "statistics", "patient", "two"},
	} {
		for _, mode := range modes {
			all = append(all, lie{mode, 0, question, evidence.Incident, list.PluginBreach, 0, pluginhost.Breached})
		}
	}
	return all
}

// laidDown builds the plugin and lays it down under the names that make it behave.
func laidDown(t *testing.T, all []lie) (dir string, sum [32]byte) {
	t.Helper()
	dir = t.TempDir()
	path := filepath.Join(dir, "liar")
	cmd := exec.Command("go", "build", "-o", path, "./testdata/liar")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		if err := os.Link(path, filepath.Join(dir, l.name())); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	return dir, sha256.Sum256(b)
}

func (l lie) name() string { return fmt.Sprintf("%s-%d", l.mode, l.at) }

// glass is a device for each lie, with all three services, that breaks at the first wrong octet.
func glass(n int) lab.DeviceConfig {
	return lab.DeviceConfig{Tag: fmt.Sprintf("30-%04d", n), Manufacturer: papertest.Maker, Model: papertest.Model, Version: "1.0", Fragile: true,
		Address: fmt.Sprintf("127.11.0.%d", n+1),
		SNMP:    &lab.SNMPConfig{Port: 10161, Descr: "Testmodel 1.0", ObjectID: "1.3.6.1.4.1.99999.1"},
		DICOM:   &lab.DICOMConfig{Port: 11112, CalledAE: "DEVICE", ClassUID: "1.2.3.4", VersionName: "TEST_1"},
		HL7:     &lab.HL7Config{Port: 12575, Site: "SITE", Application: "APP", Facility: "FAC", Version: "2.5.1"}}
}

// B1, B2, B11, H-006, H-008: whatever a plugin says in a conversation, through the real sandbox, guard and wire, the
// devices receive approved octets alone; the journal holds what was wrong with it; the agent goes on.
func TestWhateverAPluginSaysTheDevicesReceiveNothingUnapproved(t *testing.T) {
	all := lies()
	dir, sum := laidDown(t, all)
	config := lab.Config{Name: "lies", Community: community}
	for i := range all {
		config.Devices = append(config.Devices, glass(i))
	}
	h, err := lab.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	told := make([]bool, len(all)) // with -run it may be some of them
	t.Run("told", func(t *testing.T) {
		for i, l := range all {
			t.Run(string(l.question)+" "+l.name(), func(t *testing.T) {
				t.Parallel() // each has its own device and its own agent
				told[i] = true
				l.tell(t, config.Devices[i], dir, sum)
			})
		}
	})
	report := h.Report()
	if report.Totals.Harmed != 0 || report.Totals.UnapprovedBytes != 0 {
		var table bytes.Buffer
		_ = report.WriteTable(&table) // for people
		t.Errorf("devices harmed %d, unapproved bytes %d\n%s", report.Totals.Harmed, report.Totals.UnapprovedBytes, table.String())
	}
	for i, l := range all {
		if d, ok := report.Device(config.Devices[i].Tag); !ok || told[i] && int(d.Messages) < l.messages {
			t.Errorf("%s %s: the judge counts %d messages", l.question, l.name(), d.Messages)
		}
	}
	t.Logf("%d lies, %d conversations, %d messages, harmed %d, unapproved bytes %d", len(all), report.Totals.Conversations, report.Totals.Messages, report.Totals.Harmed, report.Totals.UnapprovedBytes)
}

func (l lie) tell(t *testing.T, d lab.DeviceConfig, dir string, sum [32]byte) {
	port, question := uint16(10161), ""
	switch l.question {
	case list.DICOMEcho:
		port, question = 11112, `{kind: dicom.echo, port: "11112", calling_ae: PRIMUM}`
	case list.HL7Ack:
		port, question = 12575, `{kind: hl7.ack, port: "12575", hl7_version: 2.5.1, expect: AA}`
	}
	p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.AddrPortFrom(netip.MustParseAddr(d.Address), port), Question: question, Condition: "  limits: {cap: 8s}\n"})
	a := newAgentWith(t, p, []pluginhost.Binary{{Name: "liar", Path: filepath.Join(dir, l.name()), SHA256: sum, Trust: sandbox.BuiltIn}}, nil)
	a.hand()
	permit := p.Permit(t, nil)
	a.order(permit)
	got := a.outcome()
	if got.State != l.state || got.Reason != l.reason || got.Messages != l.messages || got.Sandbox != "full" {
		t.Errorf("%+v, want %s %s after %d messages", got, l.state, l.reason, l.messages)
	}
	l.claims(t, got)
	l.noted(t, a, sum)

	// The agent goes on: it takes the next order, which is refused for what it is.
	a.order(permit)
	a.until("the same permit to be refused", func(r evidence.Record) bool { return r.Kind == evidence.Outcome && r.Permit == "" })
}

// claims: what a plugin claims is cut to its schema, and forges nothing.
func (l lie) claims(t *testing.T, got evidence.Result) {
	t.Helper()
	text := fmt.Sprintf("%q", got.Detail)
	for _, f := range got.Facts {
		text += fmt.Sprintf("%q", f)
		if f.Field == "approved" || f.Value == "Invented" {
			t.Errorf("fact %+v", f)
		}
	}
	for _, at := range got.Attributes {
		text += fmt.Sprintf("%q", at)
	}
	for _, bad := range []string{`\x1b`, `\r`, `\n`, `\u202e`, `\x00`} {
		if strings.Contains(text, bad) {
			t.Errorf("the record holds %s", bad)
		}
	}
	if len(text) > 64<<10 {
		t.Errorf("the record holds %d octets of claims", len(text))
	}
}

// noted: a fault has its record; a breach puts the version aside, until a person says otherwise.
func (l lie) noted(t *testing.T, a *testAgent, sum [32]byte) {
	t.Helper()
	kinds := map[evidence.Kind]string{}
	want := []evidence.Kind{}
	if l.fault != "" {
		want = append(want, evidence.PluginFault)
		a.until("the fault", func(r evidence.Record) bool { return r.Kind == evidence.PluginFault })
	}
	if l.fault == pluginhost.Breached {
		want = append(want, evidence.PluginBarred)
		a.until("the quarantine", func(r evidence.Record) bool { return r.Kind == evidence.PluginBarred })
	}
	for _, r := range a.records() {
		if slices.Contains([]evidence.Kind{evidence.PluginFault, evidence.PluginBarred, evidence.PluginCleared}, r.Kind) {
			kinds[r.Kind] = r.Words
			if r.Digest != hex.EncodeToString(sum[:]) || r.Plugin != "liar 1" {
				t.Errorf("%+v", r)
			}
		}
	}
	if len(kinds) != len(want) || l.fault != "" && !strings.HasPrefix(kinds[evidence.PluginFault], string(l.fault)+": ") {
		t.Errorf("the journal has %v, want %v %s", kinds, want, l.fault)
	}
	if l.fault != pluginhost.Breached {
		return
	}
	if seat, coming := a.plugins.Reserve(string(l.question)); seat != nil || coming {
		t.Error("the plugin still serves")
	}
	if l.mode != "set" {
		return
	}
	command := func(code int, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if got := Main(append([]string{"plugin", "clear", "--data", a.cfg.Data}, args...), "", &out, &out); got != code {
			t.Errorf("%q: exit %d: %s", args, got, out.String())
		}
		return out.String()
	}
	if out := command(0); !strings.Contains(out, "liar 1") || !strings.Contains(out, "nobody approved") {
		t.Errorf("said %q", out)
	}
	command(1, "other", "--reason", "x")
	command(1, "liar") // no reason
	command(0, "liar", "--reason", "the maker has explained")
	a.until("the clearance", func(r evidence.Record) bool {
		return r.Kind == evidence.PluginCleared && strings.Contains(r.Words, "the maker has explained")
	})
	if out := command(0); !strings.Contains(out, "No plugin") {
		t.Errorf("said %q", out)
	}
}

// until waits for a record.
func (h *testAgent) until(what string, ok func(evidence.Record) bool) {
	h.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		grown := h.journal.Grown()
		if slices.ContainsFunc(h.records(), ok) {
			return
		}
		select {
		case <-grown:
		case <-time.After(time.Second):
		}
	}
	h.t.Errorf("waited in vain for %s", what)
}

// A plugin that somebody kills in mid-question: the question has a named end, the fault its record, and the next
// process is there.
func TestAPluginKilledInMidQuestionCostsItsQuestion(t *testing.T) {
	l := lie{"hang", 1, list.DICOMEcho, evidence.Unknown, list.PluginFailed, 1, pluginhost.Died}
	dir, sum := laidDown(t, []lie{l})
	device := glass(200)
	h, err := lab.Start(t.Context(), lab.Config{Name: "killed", Community: community, Devices: []lab.DeviceConfig{device}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort(device.Address + ":11112"),
		Question: `{kind: dicom.echo, port: "11112", calling_ae: PRIMUM}`, Condition: "  limits: {cap: 8s}\n"})
	a := newAgentWith(t, p, []pluginhost.Binary{{Name: "liar", Path: filepath.Join(dir, l.name()), SHA256: sum, Trust: sandbox.BuiltIn}}, nil)
	a.hand()
	a.order(p.Permit(t, nil))
	a.until("the first reply", func(r evidence.Record) bool { return r.Kind == evidence.Got })
	killed := 0
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		if b, err := os.ReadFile(path); err == nil && string(b) == l.name()+"\x00" {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
			killed++
		}
	}
	if got := a.outcome(); killed != 1 || got.State != l.state || got.Reason != l.reason || got.Messages != 1 {
		t.Errorf("%d killed: %+v", killed, got)
	}
	l.noted(t, a, sum)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if seat, _ := a.plugins.Reserve(string(list.DICOMEcho)); seat != nil {
			seat.Release()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("there is no next process")
		}
	}
	if r := h.Report(); r.Totals.Harmed != 0 || r.Totals.UnapprovedBytes != 0 {
		t.Errorf("%+v", r.Totals)
	}
}
