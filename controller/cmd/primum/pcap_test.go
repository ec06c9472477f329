package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	adminv1 "primum/proto/admin/v1"
	list "primum/safetylists"
	"primum/safetylists/evidence"
	"primum/safetylists/frame"
)

// tshark reads a capture of somebody else's making.
func tshark(t *testing.T, file string, args ...string) [][]string {
	t.Helper()
	cmd := exec.Command("tshark", append([]string{"-r", file, "-T", "fields"}, args...)...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v: %s", err, complaints.String())
	}
	var rows [][]string
	for line := range strings.Lines(string(out)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return rows
}

// said makes the records of one conversation; replies are told by their length alone.
func said(t *testing.T, q list.Query, address, permit string, at time.Time, replies ...int) (out []*adminv1.TouchRecord) {
	t.Helper()
	add := func(r evidence.Record) {
		t.Helper()
		at = at.Add(time.Second)
		r.Seq, r.At, r.Permit, r.Device = uint64(len(out)+1), at, permit, "10-1"
		raw, _, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, &adminv1.TouchRecord{Agent: "agents/icu", Seq: r.Seq, Kind: string(r.Kind), Raw: raw})
	}
	messages, err := frame.Messages(q, frame.Example())
	if err != nil {
		t.Fatal(err)
	}
	add(evidence.Record{Kind: evidence.Started, Address: address, Port: q.Port(), Query: q.String()})
	for i, m := range messages {
		sum := sha256.Sum256(m.Bytes)
		add(evidence.Record{Kind: evidence.Sent, Words: m.Words, Digest: hex.EncodeToString(sum[:]), Length: len(m.Bytes), Octets: m.Bytes})
		if i < len(replies) {
			add(evidence.Record{Kind: evidence.Got, Digest: strings.Repeat("ab", 32), Length: replies[i]})
		}
	}
	add(evidence.Record{Kind: evidence.Outcome, Result: &evidence.Result{State: evidence.Answered}})
	return out
}

func parsed(t *testing.T, s list.QuerySpec) list.Query {
	t.Helper()
	q, err := list.ParseQuery(s)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestACaptureWithoutAMessageSaysSo(t *testing.T) {
	s := serve(t, answers{"GetTouched": says(&adminv1.Touched{Device: "devices/10-1"})})
	file := filepath.Join(t.TempDir(), "out.pcapng")
	_, complaints, code := s.primum(nil, "touched", "10-1", "--between", "2026-11-24", "2026-11-25", "--pcap", file)
	want(t, "nothing", complaints, code, exitDone, "no message of that time is in the record; ", "out.pcapng is a capture without any.")
	if strings.Contains(complaints, "192.0.2.1") {
		t.Errorf("it tells of an address: %s", complaints)
	}
	if rows := tshark(t, file, "-e", "frame.number"); len(rows) != 0 {
		t.Errorf("%d packets: %v", len(rows), rows)
	}
}

// WIRE-RULES hazard 25: another program reads what was sent, and of what the device said its time and its length.
func TestTsharkReadsTheMessagesOfADeviceAndNothingThatItSaid(t *testing.T) {
	at := time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)
	get := parsed(t, list.QuerySpec{Kind: list.SNMPGet, Port: 161, OIDs: list.DefaultOIDs()})
	echo := parsed(t, list.QuerySpec{Kind: list.DICOMEcho, Port: 104, CalledAE: "ARCHIVE", CallingAE: "PRIMUM"})
	ack := parsed(t, list.QuerySpec{Kind: list.HL7Ack, Port: 2575, Facility: "SITE", ReceivingApp: "APP", ReceivingFac: "FAC", HL7Version: "2.5.1", Expect: "AA"})
	r := &adminv1.Touched{Device: "devices/10-1"}
	r.Records = append(r.Records, said(t, get, "10.0.0.7", "p1", at, 150)...)
	r.Records = append(r.Records, said(t, echo, "10.0.0.7", "p2", at.Add(time.Minute), 180, 90, 10)...)
	r.Records = append(r.Records, said(t, ack, "fd00::7", "p3", at.Add(2*time.Minute), 120)...)
	r.Records = append(r.Records, said(t, get, "10.0.0.7", "p4", at.Add(3*time.Minute))[1:]...) // begun before the time
	s := serve(t, answers{"GetTouched": says(r)})
	file := filepath.Join(t.TempDir(), "out.pcapng")
	args := []string{"touched", "10-1", "--between", "2026-11-24", "2026-11-25", "--pcap", file}
	_, complaints, code := s.primum(nil, args...)
	want(t, "touched", complaints, code, exitDone, "has 10 messages as pcapng; of 5 the octets are not kept.", "one that nobody has, 192.0.2.1", "1 more are left out")
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st, err)
	}
	rows := tshark(t, file, "-e", "frame.time_epoch", "-e", "frame.protocols", "-e", "ip.dst", "-e", "ipv6.dst", "-e", "frame.len", "-e", "frame.cap_len", "-e", "frame.comment")
	if len(rows) != 10 {
		t.Fatalf("%d packets: %v", len(rows), rows)
	}
	protocols := map[string]int{}
	for i, row := range rows {
		for p := range strings.SplitSeq(row[1], ":") {
			protocols[p]++
		}
		dropped := row[4] != row[5]
		toDevice := row[2] == "10.0.0.7" || row[3] == "fd00::7"
		if dropped == toDevice || strings.Contains(row[6], "are not kept") == toDevice || !strings.Contains(row[6], "SHA-256 ") {
			t.Errorf("packet %d: %v", i+1, row)
		}
	}
	if protocols["snmp"] != 1 || protocols["dicom"] < 3 || protocols["udp"] != 2 || protocols["tcp"] != 8 {
		t.Errorf("%v", protocols)
	}
	if !strings.HasPrefix(rows[0][0], "1795485602.0") && !strings.HasPrefix(rows[0][0], "2026-11-24T02:00:02.0") || !strings.Contains(rows[0][6], "the community is blanked") {
		t.Errorf("%v", rows[0])
	}
	if got := tshark(t, file, "-Y", "snmp", "-e", "snmp.community", "-e", "snmp.name"); len(got) != 1 || got[0][0] != "" || !strings.Contains(got[0][1], "1.3.6.1.2.1.1.1.0") {
		t.Errorf("%v", got)
	}
	if got := tshark(t, file, "-Y", "ipv6 && tcp.dstport == 2575", "-e", "tcp.payload"); len(got) != 1 || !strings.HasPrefix(got[0][0], "0b4d5348") { // VT, MSH
		t.Errorf("%v", got)
	}
	if got := tshark(t, file, "-Y", "tcp.analysis.flags", "-e", "frame.number"); len(got) != 0 {
		t.Errorf("its sequence numbers do not go on: %v", got)
	}
	if _, complaints, code := s.primum(nil, args...); code != exitUsage || !strings.Contains(complaints, "left as it is") && !strings.Contains(complaints, "left as it was") {
		t.Errorf("a file that is there: %d %s", code, complaints)
	}
}

// What the record does not show by its digest is not shown as a message, and half an answer makes no file.
func TestNoPacketIsMadeOfOctetsThatTheDigestDoesNotShow(t *testing.T) {
	get := parsed(t, list.QuerySpec{Kind: list.SNMPGet, Port: 161, OIDs: list.DefaultOIDs()})
	r := &adminv1.Touched{Device: "devices/10-1", Records: said(t, get, "10.0.0.7", "p1", time.Unix(1_800_000_000, 0))}
	rec, _, err := evidence.Decode(r.Records[1].Raw)
	if err != nil {
		t.Fatal(err)
	}
	rec.Octets[10] ^= 1
	if r.Records[1].Raw, _, err = rec.Encode(); err != nil {
		t.Fatal(err)
	}
	s := serve(t, answers{"GetTouched": says(r)})
	file := filepath.Join(t.TempDir(), "out.pcapng")
	args := []string{"touched", "10-1", "--between", "2026-11-24", "2026-11-25", "--pcap", file}
	if _, complaints, code := s.primum(nil, args...); code != exitDone {
		t.Fatal(complaints)
	}
	if got := tshark(t, file, "-e", "frame.cap_len", "-e", "frame.comment"); len(got) != 1 || got[0][0] != "28" || !strings.Contains(got[0][1], "not those of its digest") {
		t.Errorf("%v", got)
	}
	for name, bend := range map[string]func(){
		"more records":        func() { r.More = true },
		"a record of nothing": func() { r.More, r.Records[0].Raw = false, []byte("x") },
		"an address that is none": func() {
			raw, _, err := evidence.Record{Seq: 1, Kind: evidence.Started, Permit: "p1", Address: "here", Query: "snmp.get of x"}.Encode()
			if err != nil {
				t.Fatal(err)
			}
			r.Records[0].Raw = raw
		},
	} {
		bend()
		other := file + name
		args[len(args)-1] = other
		if _, complaints, code := s.primum(nil, args...); code == exitDone || complaints == "" {
			t.Errorf("%s: %d %s", name, code, complaints)
		}
		if _, err := os.Stat(other); err == nil {
			t.Errorf("%s: there is a file", name)
		}
	}
}
