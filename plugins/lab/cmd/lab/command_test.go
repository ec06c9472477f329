package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"primum/plugins/lab"
)

const small = `
hospital: small
models:
  m: {manufacturer: Test, model: Monitor, version: "1", snmp: {port: 0, descr: "Test Monitor 1", object_id: 1.3.6.1.4.1.99990.1}}
units:
  - {of: m, tag: T-1, mac: "02:00:00:00:00:01", address: 127.42.200.1, hostname: m1, location: "Room 1", fragile: true}
`

// serve runs "lab serve" in this process until the test ends it.
func serve(t *testing.T, dir string, more ...string) (end func() (int, string)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "h.yaml")
	if err := os.WriteFile(file, []byte(small), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	type result struct {
		code int
		out  string
	}
	done := make(chan result, 1)
	go func() {
		var out bytes.Buffer
		code, err := run(ctx, append([]string{"serve", "--dir", dir, "--hospital", file}, more...), &out, &out)
		if err != nil {
			out.WriteString(err.Error())
		}
		done <- result{code, out.String()}
	}()
	t.Cleanup(cancel)
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "ready")); err == nil {
			break
		}
		if time.Now().After(until) {
			cancel()
			t.Fatalf("never ready: %+v", <-done)
		}
	}
	return func() (int, string) {
		cancel()
		r := <-done
		return r.code, r.out
	}
}

func command(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var out bytes.Buffer
	code, err := run(context.Background(), args, &out, &out)
	if err != nil {
		out.WriteString(err.Error())
	}
	return code, out.String()
}

// folder is short: a socket's path may have 107 octets.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lab")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestALabIsServedToldAskedAndEnded(t *testing.T) {
	dir := folder(t)
	end := serve(t, dir)
	if info, err := os.Stat(filepath.Join(dir, "community")); err != nil || info.Mode().Perm() != 0o600 || info.Size() != 17 {
		t.Errorf("community file is %v, %v", info, err)
	}
	code, out := command(t, "report", "--dir", dir)
	if code != exitFine || !strings.HasSuffix(out, "devices harmed 0, unapproved bytes 0, conversations 0, messages 0\n") {
		t.Errorf("report gave %d, %s", code, out)
	}
	if code, out = command(t, "window", "--dir", dir, "--from", "2001-01-01T00:00:00Z", "--to", "2001-01-01T01:00:00+01:00"); code != exitFailed {
		t.Errorf("an approved time that ends as it begins gave %d, %s", code, out)
	}
	if code, out = command(t, "window", "--dir", dir, "--from", "2001-01-01T00:00:00Z", "--to", "2001-01-01T01:00:00Z"); code != exitFine {
		t.Errorf("window gave %d, %s", code, out)
	}
	inventory, err := os.ReadFile(filepath.Join(dir, "inventory.csv"))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Split(strings.Split(string(inventory), "\n")[1], ",")
	conn, err := net.Dial("udp4", net.JoinHostPort("127.42.200.1", fields[18]))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("hi")); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(5 * time.Second); code != exitHarmful && time.Now().Before(until); {
		code, out = command(t, "report", "--dir", dir, "--json")
	}
	var report lab.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	want := lab.Totals{Harmed: 1, UnapprovedBytes: 2, Conversations: 1, Messages: 1}
	if d := report.Devices[0]; report.Totals != want || !d.Broken || len(d.Breaches) != 2 ||
		d.Breaches[0].Code != lab.CodeOutsideTime || d.Breaches[1].Code != lab.CodeSNMPBER {
		t.Errorf("report is %+v", report)
	}
	code, out = command(t, "transcript", "--dir", dir, "T-1")
	if code != exitFine || !strings.Contains(out, " received  127.0.0.1:") || !strings.Contains(out, " 6869\n") {
		t.Errorf("transcript gave %d, %s", code, out)
	}
	if code, out = end(); code != exitFine || !strings.Contains(out, "devices harmed 1") {
		t.Errorf("serve ended with %d, %s", code, out)
	}
	// The last report outlives the lab.
	if code, out = command(t, "report", "--dir", dir); code != exitHarmful || !strings.Contains(out, "spoken to outside the approved time") {
		t.Errorf("last report gave %d, %s", code, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "ready")); err == nil {
		t.Error("the lab has ended and says it is ready")
	}
}

func TestALabEndsByItself(t *testing.T) {
	dir := folder(t)
	end := serve(t, dir, "--max-time", "200ms")
	for until := time.Now().Add(5 * time.Second); time.Now().Before(until); time.Sleep(time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "final.json")); err == nil {
			break
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "final.json")); err != nil {
		t.Errorf("the lab has not ended: %v", err)
	}
	if code, out := end(); code != exitFine {
		t.Errorf("serve ended with %d, %s", code, out)
	}
}

func TestAReportOfNoLabIsAFailureAndNotAClearance(t *testing.T) {
	if code, out := command(t, "report", "--dir", folder(t)); code != exitFailed || !strings.Contains(out, "no lab") {
		t.Errorf("report gave %d, %s", code, out)
	}
	if code, _ := command(t, "report"); code != exitUsage {
		t.Errorf("report without a folder gave %d", code)
	}
	if code, out := command(t, "transcript", "--dir", folder(t), "x"); code != exitFailed {
		t.Errorf("transcript gave %d, %s", code, out)
	}
}

func TestTheCommunityComesFromAFileWhereOneIsGiven(t *testing.T) {
	dir := folder(t)
	file := filepath.Join(dir, "given")
	if err := os.WriteFile(file, []byte("given1234\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	end := serve(t, dir, "--community-file", file)
	if got, err := os.ReadFile(filepath.Join(dir, "community")); err != nil || string(got) != "given1234\n" {
		t.Errorf("community is %q, %v", got, err)
	}
	if code, out := end(); code != exitFine {
		t.Errorf("serve ended with %d, %s", code, out)
	}
}
