package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"primum/safetylists/evidence"
)

// conversation is what one question leaves in a journal, as a monitor's does.
func conversation(i int) []evidence.Record {
	at := t0.Add(time.Duration(i) * 5 * time.Second)
	id := fmt.Sprintf("%08x-0000-4000-8000-000000000000", i)
	device := fmt.Sprintf("10-%05d", i%10_000)
	base := evidence.Record{At: at, Order: fmt.Sprintf("orders/%d", i/50), Ordinal: uint32(i % 50), Permit: id, Device: device}
	begun, sent, got, end := base, base, base, base
	begun.Kind, begun.Address, begun.MAC, begun.Caller, begun.Query, begun.GapMS, begun.RestMS = evidence.Started, fmt.Sprintf("10.1.%d.%d:161", i/250%40, 1+i%250), fmt.Sprintf("02:00:00:00:%02x:%02x", i/256%256, i%256), "cmms", "snmp.get 161 1.3.6.1.2.1.1.1.0", 5000, 86_400_000
	sent.Kind, sent.Digest, sent.Length, sent.Words = evidence.Sent, strings.Repeat("ab", 32), 92, "GetRequest <4 objects>"
	got.Kind, got.Digest, got.Length = evidence.Got, strings.Repeat("cd", 32), 160
	uptime := uint32(i * 500)
	end.Kind, end.Result = evidence.Outcome, &evidence.Result{State: evidence.Answered, Reason: "ALLOWED", Statements: []string{"aldane-vela-3"}, Uptime: &uptime, Asked: at, TookUS: 12_000, Messages: 1, Octets: 160,
		Facts: []evidence.Fact{{Field: "model", Value: "Vela 3", Origin: "sysDescr.0"}, {Field: "software", Value: "3.2.1", Origin: "sysDescr.0"}}, Plugin: "snmp 0.1.0", Sandbox: "full"}
	return []evidence.Record{begun, sent, got, end}
}

// The time that an agent takes to start with a million records of its own, as a controller that was away for weeks leaves them.
func BenchmarkOpenAMillionRecords(b *testing.B) {
	dir := b.TempDir()
	j, err := Open(dir, t0, &told{})
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; i < 250_000; i += 1000 {
		var part []evidence.Record
		for k := range 1000 {
			part = append(part, conversation(i+k)...)
		}
		if _, err := j.Append(part...); err != nil {
			b.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	st, err := os.Stat(filepath.Join(dir, fileName))
	if err != nil {
		b.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		n := counted(0)
		j, err := Open(dir, t0, &n)
		if err != nil {
			b.Fatal(err)
		}
		if n != 1_000_001 {
			b.Fatalf("%d records", n)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if err := j.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(st.Size())/1e6, "MB-on-disk")
	b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/1e6, "MB-heap")
}

// counted is a memory that only counts.
type counted int

func (n *counted) Replay(evidence.Record) { *n++ }
func (n *counted) Restore([]byte) error   { return nil }
