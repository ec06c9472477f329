package firstlight

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"primum/safetylists/evidence"
)

// A controller that was away finds everything that its agent has recorded, in order and whole; the agent's memory stays bounded
// meanwhile, and its journal is small again afterwards. PRIMUM_SPOOL says how many records; "make spool" tries a million.
func TestASpoolIsTakenUpWholeAndTrimmed(t *testing.T) {
	n := 4_000
	if s := os.Getenv("PRIMUM_SPOOL"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil || n < 1000 || n > 10_000_000 {
			t.Fatalf("PRIMUM_SPOOL is %q; it is from 1000 to 10000000", s)
		}
	}
	most := 64 << 20
	if n < 200_000 {
		most = 256 << 10
	}
	s := openIn(t, "", "--journal-most", fmt.Sprint(most), "--heads", "1s")
	s.agent.kill()
	octets := s.spool(n)

	began := time.Now()
	s.startAgent()
	s.until("the agent has read its journal", 5*time.Minute, func() bool {
		log, err := os.ReadFile(s.path("primum-agent.log"))
		return err == nil && strings.Count(string(log), "agent is ready") == 2
	})
	opened := time.Since(began)
	var high int64
	left := most / (int(octets) / n) // records of which half may stay
	s.until("the controller has taken it, and the journal is small again", time.Minute+time.Duration(n)*2*time.Millisecond, func() bool {
		high = max(high, s.resident(s.agent, "VmHWM:"))
		log, err := os.ReadFile(s.path("primum-agent.log"))
		at := bytes.LastIndex(log, []byte("up_to="))
		if err != nil || at < 0 {
			return false
		}
		upTo, err := strconv.Atoi(between(string(log[at:]), "up_to=", " "))
		return err == nil && upTo > n-left
	})
	taken := time.Since(began) - opened
	t.Logf("%d records, %d MB: open for work after %s; taken up in %s, %.0f records a second; the agent's memory at most %d MB", n, octets/1e6,
		opened.Round(10*time.Millisecond), taken.Round(10*time.Millisecond), float64(n)/taken.Seconds(), high/1e6)
	s.whole(n)
	if log, err := os.ReadFile(s.path("primum-agent.log")); err != nil || !strings.Contains(string(log), "the journal was trimmed") {
		t.Errorf("the journal was not trimmed: %v", err)
	}
}

// resident is a line of what the kernel says of a process's memory, in octets.
func (s *site) resident(p *process, name string) int64 {
	s.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	kib, err := strconv.ParseInt(strings.TrimSpace(between(string(b), name, "kB")), 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return kib << 10
}

// spool writes records into the journal of the agent, which has ended, as it would have: questions of an earlier session
// that no controller has heard of. It returns the octets of the journal.
func (s *site) spool(n int) int64 {
	s.t.Helper()
	path := s.path("agent/journal/journal.log")
	b, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	header := bytes.IndexByte(b, '\n') + 1
	var head evidence.Head
	at := header
	for at+12 <= len(b) {
		size := int(binary.BigEndian.Uint32(b[at:]))
		if size == 0 {
			break
		}
		if _, head, err = head.Follow(b[at+12 : at+12+size]); err != nil {
			s.t.Fatal(err)
		}
		at += 12 + size
	}
	out := bytes.NewBuffer(b[:at:at])
	sum := func(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
	for i := range n {
		raw, hash, err := head.Next(told(i)).Encode()
		if err != nil {
			s.t.Fatal(err)
		}
		head = evidence.Head{Seq: head.Seq + 1, Hash: hash}
		length := binary.BigEndian.AppendUint32(nil, uint32(len(raw)))
		out.Write(length)
		out.Write(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, sum(length)), sum(raw)))
		out.Write(raw)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return int64(out.Len())
}

// told is one of the four records that a question leaves.
func told(i int) evidence.Record {
	q := i / 4
	r := evidence.Record{At: time.Now().Add(-time.Hour), Order: fmt.Sprintf("orders/%d", q/50), Ordinal: uint32(q % 50), Permit: fmt.Sprintf("%08x-0000-4000-8000-000000000000", q),
		Device: fmt.Sprintf("30-%04d", q%10_000)}
	switch i % 4 {
	case 0:
		r.Kind, r.Query, r.GapMS, r.RestMS = evidence.Started, "snmp.get 161 1.3.6.1.2.1.1.1.0", 5000, 86_400_000
		r.Address, r.MAC = fmt.Sprintf("127.44.%d.%d:161", q/250%40, 1+q%250), fmt.Sprintf("02:00:00:00:%02x:%02x", q/256%40, q%256)
	case 1:
		r.Kind, r.Digest, r.Length, r.Words = evidence.Sent, strings.Repeat("ab", 32), 92, "GetRequest <4 objects>"
	case 2:
		r.Kind, r.Digest, r.Length = evidence.Got, strings.Repeat("cd", 32), 160
	default:
		r.Kind, r.Result = evidence.Outcome, &evidence.Result{State: evidence.Answered, Reason: "ALLOWED", Asked: r.At.UTC().Truncate(time.Microsecond), TookUS: 12_000, Messages: 1, Octets: 160, Plugin: "snmp 0.1.0",
			Facts: []evidence.Fact{{Field: "model", Value: "Vela 3", Origin: "sysDescr.0"}, {Field: "software", Value: "3.2.1", Origin: "sysDescr.0"}}}
	}
	return r
}
