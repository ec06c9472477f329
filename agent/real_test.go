package agent

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"primum/agent/internal/papertest"
	"primum/safetylists/evidence"
	"primum/safetylists/frame"
)

// snmpdV2c starts a real snmpd that is the device of the papers.
func snmpdV2c(t *testing.T) {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "snmpd.conf")
	text := "rocommunity " + community + " 127.0.0.1\nsysDescr Testmaker Testmodel software 1.0\nsysName ward7\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("snmpd", "-f", "-Lo", "-C", "-c", conf, "udp:127.0.0.1:10161")
	cmd.Env = append(os.Environ(), "SNMP_PERSISTENT_DIR="+t.TempDir(), "MIBS=")
	startAndAwait(t, cmd, "NET-SNMP version")
}

// S3, G6: four scalars of a real snmpd, in exactly one request and one reply.
func TestRealSnmpdIsAskedOnceAndAnswersOnce(t *testing.T) {
	snmpdV2c(t)
	wire := startCapture(t, "udp port 10161 or icmp")
	p := papertest.Make(t, time.Now(), papertest.Options{})
	h := newAgent(t, p, nil)
	h.hand()
	h.order(p.Permit(t, nil))
	got := h.outcome()
	if got.State != evidence.Answered || got.Messages != 1 || got.Uptime == nil {
		t.Fatalf("outcome %+v", got)
	}
	facts := map[string]string{}
	for _, f := range got.Facts {
		facts[f.Field] = f.Value
	}
	if facts["description"] != "Testmaker Testmodel software 1.0" || facts["name"] != "ward7" || facts["object_id"] == "" {
		t.Errorf("facts %v", facts)
	}
	lines := wire.lines()
	to, from := count(lines, `> 127\.0\.0\.1\.10161:`), count(lines, `127\.0\.0\.1\.10161 >`)
	if to != 1 || from != 1 || len(lines) != 2 {
		t.Errorf("%d packets to the device, %d from it, %d in all:\n%s", to, from, len(lines), strings.Join(lines, "\n"))
	}
	for _, r := range h.records() {
		// 79 octets with a request id of four; one in 256 has three
		if r.Kind == evidence.Sent && (r.Length > 79 || r.Length < 76 || len(r.Octets) != r.Length || fmt.Sprintf("%x", sha256.Sum256(r.Octets)) != r.Digest || bytes.Contains(r.Octets, []byte(community))) {
			t.Errorf("the record says %d octets without the community, want 79 or a few less: %x", r.Length, r.Octets)
		}
		if r.Kind == evidence.Started && r.Port != 10161 || r.Kind == evidence.Got && len(r.Octets) > 0 { // what the device says may be of patients
			t.Errorf("%+v", r)
		}
	}
}

// D1 to D5, G5: a real DCMTK storescp is echoed and released, without abort and without RST.
func TestRealStorescpIsEchoedAndReleased(t *testing.T) {
	cmd := exec.Command("storescp", "-v", "-aet", "DEVICE", "11112")
	cmd.Dir = t.TempDir()
	if err := cmd.Err; err != nil {
		t.Fatalf("storescp is needed for this test: %v", err)
	}
	log := startListening(t, cmd, 11112)
	wire := startCapture(t, "tcp port 11112")
	p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:11112"),
		Question: `{kind: dicom.echo, port: "11112", calling_ae: PRIMUM, version_name: PRIMUM_1}`})
	h := newAgent(t, p, nil)
	h.hand()
	h.order(p.Permit(t, nil))
	got := h.outcome()
	want := 165 + len(frame.ImplementationClassUID) + 4 + len("PRIMUM_1") + 80 + 10 // DESIGN 6.14
	if got.State != evidence.Answered || got.Messages != 3 || got.Octets != want {
		t.Fatalf("outcome %+v, want 3 messages of %d octets", got, want)
	}
	time.Sleep(200 * time.Millisecond) // the log of the released association
	for _, word := range []string{"Association Received", "Received Echo Request", "Association Release"} {
		if !strings.Contains(log.String(), word) {
			t.Errorf("storescp did not see %q:\n%s", word, log.String())
		}
	}
	if strings.Contains(log.String(), "Abort") {
		t.Errorf("storescp saw an abort:\n%s", log.String())
	}
	lines := wire.lines()
	if syn, rst := count(lines, `> 127\.0\.0\.1\.11112: Flags \[S\]`), count(lines, `Flags \[R`); syn != 1 || rst != 0 {
		t.Errorf("%d SYN, %d RST:\n%s", syn, rst, strings.Join(lines, "\n"))
	}
}

// H2, H3, H8: a real MLLP server takes the one message and its acknowledgment has our control id.
func TestRealMLLPServerAcknowledgesTheApprovedMessage(t *testing.T) {
	script := `
import asyncio, sys
import hl7.mllp
async def serve(reader, writer):
    message = await reader.readmessage()
    print("got", str(message.segment("MSH")[9]), flush=True)
    writer.writemessage(message.create_ack())
    await writer.drain()
    print("eof", (await reader.read()) == b"", flush=True)
    writer.close()
async def main():
    async with await hl7.mllp.start_hl7_server(serve, host="127.0.0.1", port=12575) as s:
        print("ready", flush=True)
        await s.serve_forever()
asyncio.run(main())
`
	cmd := exec.Command("/usr/bin/python3", "-c", script)
	log := startAndAwait(t, cmd, "ready")
	wire := startCapture(t, "tcp port 12575")
	p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:12575"),
		Question: `{kind: hl7.ack, port: "12575", hl7_version: 2.5.1, expect: AA}`})
	h := newAgent(t, p, nil)
	h.hand()
	h.order(p.Permit(t, nil))
	got := h.outcome()
	if got.State != evidence.Answered || got.Messages != 1 {
		t.Fatalf("outcome %+v\n%s", got, log.String())
	}
	deadline := time.Now().Add(5 * time.Second)
	for !strings.Contains(log.String(), "eof True") && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	if s := log.String(); !strings.Contains(s, "got NMD") || !strings.Contains(s, "eof True") {
		t.Errorf("the server saw %q", s)
	}
	lines := wire.lines()
	if syn, rst := count(lines, `> 127\.0\.0\.1\.12575: Flags \[S\]`), count(lines, `Flags \[R`); syn != 1 || rst != 0 {
		t.Errorf("%d SYN, %d RST:\n%s", syn, rst, strings.Join(lines, "\n"))
	}
}

// H2, H8: a second receiver of other people's making, node-hl7-server.
func TestRealNodeMLLPServerAcknowledgesTheApprovedMessage(t *testing.T) {
	cmd := exec.Command("node", "server.js", "12581")
	cmd.Dir = filepath.Join("testdata", "node-mllp")
	if _, err := os.Stat(filepath.Join(cmd.Dir, "node_modules")); err != nil {
		t.Fatalf("node-hl7-server is needed for this test; make deps installs it: %v", err)
	}
	log := startAndAwait(t, cmd, "ready")
	wire := startCapture(t, "tcp port 12581")
	p := papertest.Make(t, time.Now(), papertest.Options{Address: netip.MustParseAddrPort("127.0.0.1:12581"),
		Question: `{kind: hl7.ack, port: "12581", hl7_version: 2.5.1, expect: AA}`})
	h := newAgent(t, p, nil)
	h.hand()
	h.order(p.Permit(t, nil))
	got := h.outcome()
	if got.State != evidence.Answered || got.Messages != 1 || !strings.Contains(log.String(), "got NMD SP") || strings.Contains(log.String(), "error") {
		t.Fatalf("outcome %+v\n%s", got, log.String())
	}
	lines := wire.lines()
	if syn, rst := count(lines, `> 127\.0\.0\.1\.12581: Flags \[S\]`), count(lines, `> 127\.0\.0\.1\.12581: Flags \[R`); syn != 1 || rst != 0 {
		t.Errorf("%d SYN, %d RST of ours:\n%s", syn, rst, strings.Join(lines, "\n"))
	}
}

// startListening starts a server that prints nothing when it is ready, and waits for its port in the
// kernel's table: a connection to find out would be a visitor of its own.
func startListening(t *testing.T, cmd *exec.Cmd, port uint16) *words {
	t.Helper()
	w := startAndAwait(t, cmd, "")
	want := fmt.Sprintf(":%04X 00000000:0000 0A", port)
	want6 := fmt.Sprintf(":%04X 00000000000000000000000000000000:0000 0A", port)
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		for _, f := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
			table, err := os.ReadFile(f)
			if err == nil && (strings.Contains(string(table), want) || strings.Contains(string(table), want6)) {
				return w
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s does not listen on port %d: %s", cmd.Path, port, w.String())
	return nil
}
