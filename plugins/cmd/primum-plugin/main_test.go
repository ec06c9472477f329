package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"primum/plugins/sandbox"
	"primum/plugins/sdk/sdktest"
)

// TestMain lets this program confine plugins, as the real one does.
func TestMain(m *testing.M) {
	if code, started := sandbox.Shim(); started {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// tool runs a command line, and wants it to succeed or not.
func tool(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if code := run(args, &env{in: strings.NewReader(""), out: &out, err: &out}); code != want {
		t.Fatalf("%q: exit code %d, want %d\n%s", args, code, want, out.String())
	}
	return out.String()
}

func goRun(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOPROXY=off")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %q: %v\n%s", args, err, text)
	}
}

const anyFault = "@fault-of-a-test@@@@"

// anyFaulty is the plugin with a fault that is written into it afterwards; to link it for each would take longer
// than to certify it.
var anyFaulty = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "faulty")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("go", "build", "-ldflags", "-X main.fault="+anyFault, "-o", filepath.Join(dir, "faulty"), "./testdata/faulty")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, text)
	}
	return os.ReadFile(filepath.Join(dir, "faulty"))
})

// faulty is the plugin with one fault; none: it is sound.
func faulty(t *testing.T, fault string) string {
	t.Helper()
	binary, err := anyFaulty()
	if err != nil || !bytes.Contains(binary, []byte(anyFault)) {
		t.Fatalf("no fault can be written into the binary: %v", err)
	}
	path := filepath.Join(t.TempDir(), "faulty")
	if err := os.WriteFile(path, bytes.ReplaceAll(binary, []byte(anyFault), fmt.Appendf(nil, "%-*s", len(anyFault), fault)), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// The ten faults that a manufacturer's plugin may bring, each in a plugin of its own: certify names every one.
func TestCertifyNamesEachSeededFault(t *testing.T) {
	const rack = "../../example/testdata/rack.txt"
	for fault, transcript := range map[string]string{
		"extra-message": rack, "second-connection": rack, "oversize": rack, "wrong-order": rack, "ignored-refusal": rack, "hang": rack, "panic": rack,
		"lying-result": rack, "unapproved-oid": "testdata/snmp.txt", "missing-release": "testdata/dicom.txt",
	} {
		t.Run(fault, func(t *testing.T) {
			binary := faulty(t, fault)
			r := certified(t, binary, transcript)
			found := false
			for _, f := range r.Findings {
				found = found || string(f.Fault) == fault
			}
			if r.Passed || !found {
				t.Errorf("passed %v, findings %+v", r.Passed, r.Findings)
			}
			text, err := os.ReadFile(binary + ".report.md")
			if err != nil || !strings.Contains(string(text), "did not pass") || !strings.Contains(string(text), "| "+fault+" |") {
				t.Errorf("the report does not tell: %v\n%s", err, text)
			}
		})
	}
}

func certified(t *testing.T, binary string, transcript string) sdktest.Report {
	t.Helper()
	var out bytes.Buffer
	began := time.Now()
	code := run([]string{"certify", binary, "--transcript", transcript}, &env{in: strings.NewReader(""), out: &out, err: &out})
	text, err := os.ReadFile(binary + ".report.json")
	if err != nil {
		t.Fatalf("no report: %v\n%s", err, out.String())
	}
	var r sdktest.Report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if (code == 0) != r.Passed {
		t.Errorf("exit code %d, passed %v", code, r.Passed)
	}
	n := 0
	for _, c := range r.Checks {
		n += c.Conversations
	}
	t.Logf("%d conversations in %s, sandbox %s", n, time.Since(began).Round(time.Millisecond), r.Sandbox)
	return r
}

func TestASoundPluginIsCertifiedSignedAndVerified(t *testing.T) {
	dir, binary := t.TempDir(), faulty(t, "")
	if r := certified(t, binary, "../../example/testdata/rack.txt"); !r.Passed || len(r.Findings) != 0 {
		t.Fatalf("%+v", r.Findings)
	}
	key, secret := filepath.Join(dir, "maker"), filepath.Join(dir, "passphrase")
	if err := os.WriteFile(secret, []byte("correct horse battery\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, 0, "key", key, "--passphrase-file", secret)
	tool(t, 1, "key", key, "--passphrase-file", secret) // never over another
	sign := []string{"sign", binary, "--key", key, "--passphrase-file", secret, "--report", binary + ".report.json"}
	if said := tool(t, 0, sign...); !strings.Contains(said, "faulty 1 of aldane, which speaks tcp.aldane.status, is signed") {
		t.Errorf("said %q", said)
	}
	if said := tool(t, 1, "sign", binary, "--key", key, "--passphrase-file", secret); !strings.Contains(said, "is certified") {
		t.Errorf("a certified manifest is written over: %q", said)
	}
	verify := []string{"verify", binary, "--key", key + ".pub"}
	if said := tool(t, 0, append(verify, "--report", binary+".report.json")...); !regexp.MustCompile(`[1-9]\d+ conversations over 1 transcript, in a sandbox of level (full|fallback|none)`).MatchString(said) {
		t.Errorf("verify does not say what the report covers: %q", said)
	}

	// Another report, another key, another binary.
	report, err := os.ReadFile(binary + ".report.json")
	if err != nil {
		t.Fatal(err)
	}
	changed := filepath.Join(dir, "changed.json")
	if err := os.WriteFile(changed, append(report, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, 1, append(verify, "--report", changed)...)
	tool(t, 0, "key", key+"2", "--passphrase-file", secret)
	tool(t, 1, "verify", binary, "--key", key+"2.pub")
	f, err := os.OpenFile(binary, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	tool(t, 1, verify...)
	if said := tool(t, 1, sign...); !strings.Contains(said, "about another binary") {
		t.Errorf("said %q", said)
	}
}

func TestNothingIsSignedThatAMakerMayNotSign(t *testing.T) {
	dir := t.TempDir()
	open, secret := filepath.Join(dir, "open"), filepath.Join(dir, "short")
	block, err := ssh.MarshalPrivateKey(ed25519.NewKeyFromSeed(make([]byte, 32)), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(open, pem.EncodeToMemory(block), 0o600), os.WriteFile(secret, []byte("short\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if said := tool(t, 1, "key", filepath.Join(dir, "k"), "--passphrase-file", secret); !strings.Contains(said, "at least 10") {
		t.Errorf("said %q", said)
	}
	if said := tool(t, 1, "sign", faulty(t, ""), "--key", open); !strings.Contains(said, "no passphrase") {
		t.Errorf("said %q", said)
	}
	if said := tool(t, 1, "sign", faulty(t, "unapproved-oid"), "--key", open); !strings.Contains(said, "own questions alone") {
		t.Errorf("said %q", said)
	}
	tool(t, 2, "sign")
}

func TestAProtocolIsNoMakersName(t *testing.T) {
	for _, name := range []string{"snmp", "dicom", "hl7"} {
		out := filepath.Join(t.TempDir(), name)
		if err := (&newCommand{Name: name, Out: out, Primum: "../../.."}).Run(&env{}); err == nil || !strings.Contains(err.Error(), "comes with the agent") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s was made", out)
		}
	}
}

func TestAFileThatIsNoProgramIsNotCertified(t *testing.T) {
	dir := t.TempDir()
	text, object, foreign := filepath.Join(dir, "text"), filepath.Join(dir, "object"), filepath.Join(dir, "foreign")
	own, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	header := func(at int, value byte) []byte { // of the ELF header, 64 octets, and no sections
		h := bytes.Clone(own[:64])
		clear(h[32:48])
		clear(h[54:64])
		h[at], h[at+1] = value, 0
		return h
	}
	if err := errors.Join(os.WriteFile(text, []byte("#!/bin/sh\n"), 0o755), os.WriteFile(object, header(16, 1), 0o755),
		os.WriteFile(foreign, header(18, 2), 0o755)); err != nil { // ET_REL, EM_SPARC
		t.Fatal(err)
	}
	for path, want := range map[string]string{text: "is no program (ELF)", object: "is no program (ELF)", foreign: "for another machine", dir: "is no file", dir + "/gone": "no such file"} {
		err := (&certifyCommand{Binary: path, Most: time.Minute}).Run(&env{})
		if err == nil || !strings.Contains(err.Error(), want) || want == "no such file" && strings.Contains(err.Error(), "program") {
			t.Errorf("%s: %v", path, err)
		}
		if left, _ := filepath.Glob(path + ".report*"); len(left) != 0 {
			t.Errorf("a report was written: %v", left)
		}
	}
}
