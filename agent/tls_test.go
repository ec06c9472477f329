package agent

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"primum/agent/internal/papertest"
	list "primum/safetylists"
	"primum/safetylists/evidence"
	"primum/safetylists/frame"
)

// deviceCertificate makes what a device shows: a certificate that it has signed itself.
func deviceCertificate(t *testing.T) (certFile, keyFile, pin string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "modality"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, b := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sum := sha256.Sum256(der)
	return certFile, keyFile, hex.EncodeToString(sum[:])
}

func pinned(t *testing.T, port uint16, question, pin string) *testAgent {
	t.Helper()
	return newAgent(t, papertest.Make(t, time.Now(), papertest.Options{Address: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port),
		Question: fmt.Sprintf(question, port), Device: func(d *list.Device) { d.TLSPin = pin }}), nil)
}

const (
	echoOverTLS = `{kind: dicom.echo, port: "%d", calling_ae: PRIMUM, version_name: PRIMUM_1, tls: true}`
	ackOverTLS  = `{kind: hl7.ack, port: "%d", hl7_version: 2.5.1, expect: AA, tls: true}`
)

// D10: a real storescp over TLS is echoed and released, and nothing of DICOM is on the wire in clear.
func TestRealStorescpIsEchoedOverTLS(t *testing.T) {
	cert, key, pin := deviceCertificate(t)
	cmd := exec.Command("storescp", "-v", "-aet", "DEVICE", "+tls", key, cert, "-ic", "12762")
	cmd.Dir = t.TempDir()
	log := startListening(t, cmd, 12762)
	seen := startCapture(t, "tcp port 12762")
	h := pinned(t, 12762, echoOverTLS, pin)
	h.hand()
	h.order(h.papers.Permit(t, nil))
	got := h.outcome()
	if got.State != evidence.Answered || got.Messages != 3 {
		t.Fatalf("outcome %+v\n%s", got, log.String())
	}
	time.Sleep(200 * time.Millisecond) // the log of the released association
	for _, word := range []string{"Received Echo Request", "Association Release"} {
		if !strings.Contains(log.String(), word) {
			t.Errorf("storescp did not see %q:\n%s", word, log.String())
		}
	}
	lines := seen.lines()
	// storescp itself may reset: it closes after its own close_notify and leaves ours unread.
	if syn, rst := count(lines, `> 127\.0\.0\.1\.12762: Flags \[S\]`), count(lines, `> 127\.0\.0\.1\.12762: Flags \[R`); syn != 1 || rst != 0 {
		t.Errorf("%d SYN, %d RST from us:\n%s", syn, rst, strings.Join(lines, "\n"))
	}
	if wire, err := os.ReadFile(seen.file); err != nil || strings.Contains(string(wire), "1.2.840.10008") || strings.Contains(string(wire), "PRIMUM") {
		t.Errorf("DICOM is on the wire in clear (%v)", err)
	}
}

// H13: the same of an MLLP server over TLS.
func TestRealMLLPServerAcknowledgesOverTLS(t *testing.T) {
	cert, key, pin := deviceCertificate(t)
	script := `
import asyncio, ssl, sys
import hl7.mllp
async def serve(reader, writer):
    message = await reader.readmessage()
    print("got", str(message.segment("MSH")[9]), flush=True)
    writer.writemessage(message.create_ack())
    await writer.drain()
    print("eof", (await reader.read()) == b"", flush=True)
    writer.close()
async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    async with await hl7.mllp.start_hl7_server(serve, host="127.0.0.1", port=12580, ssl=context) as s:
        print("ready", flush=True)
        await s.serve_forever()
asyncio.run(main())
`
	log := startAndAwait(t, exec.Command("/usr/bin/python3", "-c", script, cert, key), "ready")
	seen := startCapture(t, "tcp port 12580")
	h := pinned(t, 12580, ackOverTLS, pin)
	h.hand()
	h.order(h.papers.Permit(t, nil))
	if got := h.outcome(); got.State != evidence.Answered || got.Messages != 1 {
		t.Fatalf("outcome %+v\n%s", got, log.String())
	}
	deadline := time.Now().Add(5 * time.Second)
	for !strings.Contains(log.String(), "eof True") && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	if s := log.String(); !strings.Contains(s, "got NMD") || !strings.Contains(s, "eof True") {
		t.Errorf("the server saw %q", s)
	}
	if lines := seen.lines(); count(lines, `Flags \[R`) != 0 {
		t.Errorf("a reset:\n%s", strings.Join(lines, "\n"))
	}
}

// D10, H13: with another certificate, or without TLS, nothing of the question is sent, there is no second
// attempt, and no way back to plain TCP.
func TestNothingOfTheQuestionGoesToAnotherCertificate(t *testing.T) {
	cert, key, pin := deviceCertificate(t)
	other := strings.Repeat("0", 64)
	storescp := exec.Command("storescp", "-v", "-aet", "DEVICE", "+tls", key, cert, "-ic", "12763")
	storescp.Dir = t.TempDir()
	log := startListening(t, storescp, 12763)
	heard := make(chan string, 4)
	peer(t, "127.0.0.1:12764", func(conn net.Conn) { // speaks no TLS
		b := make([]byte, 4096)
		n, _ := conn.Read(b)
		_, _ = conn.Write([]byte("\x03\x00\x00\x00\x00\x04\x00\x01\x01\x01")) // A-ASSOCIATE-RJ
		heard <- string(b[:n])
	})
	for name, c := range map[string]struct {
		port          uint16
		question, pin string
		state         evidence.State
		reason        list.Reason
	}{
		"DICOM, another certificate": {12763, echoOverTLS, other, evidence.Incident, list.CertificateChanged},
		"HL7, another certificate":   {12763, ackOverTLS, other, evidence.Incident, list.CertificateChanged},
		"DICOM, no TLS":              {12764, echoOverTLS, pin, evidence.Distress, ""},
	} {
		t.Run(name, func(t *testing.T) {
			seen := startCapture(t, fmt.Sprintf("tcp port %d", c.port))
			h := pinned(t, c.port, c.question, c.pin)
			h.hand()
			h.order(h.papers.Permit(t, nil))
			if got := h.outcome(); got.State != c.state || got.Reason != c.reason || got.Messages != 0 {
				t.Errorf("outcome %+v", got)
			}
			lines := seen.lines()
			if syn, rst := count(lines, fmt.Sprintf(`> 127\.0\.0\.1\.%d: Flags \[S\]`, c.port)), count(lines, fmt.Sprintf(`> 127\.0\.0\.1\.%d: Flags \[R`, c.port)); syn != 1 || rst != 0 {
				t.Errorf("%d SYN, %d RST from us:\n%s", syn, rst, strings.Join(lines, "\n"))
			}
			if wire, err := os.ReadFile(seen.file); err != nil || strings.Contains(string(wire), "PRIMUM") || strings.Contains(string(wire), frame.ImplementationClassUID) {
				t.Errorf("the question is on the wire (%v)", err)
			}
		})
	}
	if strings.Contains(log.String(), "Association Received") && strings.Contains(log.String(), "Received Echo") {
		t.Errorf("storescp saw a question:\n%s", log.String())
	}
	if text := <-heard; !strings.HasPrefix(text, "\x16\x03") {
		t.Errorf("the device without TLS heard %q", text)
	}
}

// An allowance for TLS is none for a device whose certificate nobody has registered.
func TestWithoutARegisteredCertificateThereIsNoQuestion(t *testing.T) {
	rule := `{kind: dicom.echo, port: "2762", calling_ae: PRIMUM, tls: true}`
	_, _, pin := deviceCertificate(t)
	p := papertest.Make(t, time.Now(), papertest.Options{Question: rule, Device: func(d *list.Device) { d.TLSPin = pin }})
	d := p.Plan.Items[0].Device
	q := p.Plan.Items[0].Query
	if got := p.Release.List.Decide(d, q, time.Now()); !got.Allowed() {
		t.Fatalf("registered: %s", got.Reason)
	}
	plain := q.Spec()
	plain.TLSPin = ""
	without, err := list.ParseQuery(plain)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Release.List.Decide(d, without, time.Now()); got.Allowed() {
		t.Error("the question is allowed without TLS")
	}
	d.TLSPin = ""
	if got := p.Release.List.Decide(d, without, time.Now()); got.Reason != list.NotRegistered {
		t.Errorf("not registered: %s", got.Reason)
	}
}
