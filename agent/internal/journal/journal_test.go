package journal

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"primum/safetylists/evidence"
)

var t0 = time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)

// told is a memory that keeps everything.
type told struct{ records []evidence.Record }

func (m *told) Replay(r evidence.Record) { m.records = append(m.records, r) }

func (m *told) Restore(b []byte) error {
	m.records = nil
	return json.Unmarshal(b, &m.records)
}

func (m *told) Checkpoint() ([]byte, error) { return json.Marshal(m.records) }

func open(t *testing.T, dir string) (*Journal, []evidence.Record) {
	t.Helper()
	var m told
	j, err := Open(dir, t0, &m)
	if err != nil {
		t.Fatal(err)
	}
	j.spare = 64 << 10 // the disk that tests share has other work
	return j, m.records
}

func write(t *testing.T, dir string, n int) {
	t.Helper()
	j, _ := open(t, dir)
	for i := range n {
		if _, err := j.Append(evidence.Record{At: t0.Add(time.Duration(i) * time.Second), Kind: evidence.Started, Permit: "p", Device: "d"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// H-013: whatever a crash leaves of the last frame, what was on disk before it is read again.
func TestTornTailIsCutOffAtEveryOctet(t *testing.T) {
	whole := t.TempDir()
	write(t, whole, 3)
	text, err := os.ReadFile(filepath.Join(whole, fileName))
	if err != nil {
		t.Fatal(err)
	}
	j, _ := open(t, whole)
	last := j.places[len(j.places)-1]
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for n := last; n < int64(len(text)); n++ {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, fileName), text[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		j, seen := open(t, dir)
		if len(seen) != 3 || j.Head().Seq != 3 {
			t.Fatalf("cut at %d: %d records, head %d", n, len(seen), j.Head().Seq)
		}
		if _, err := j.Append(evidence.Record{At: t0, Kind: evidence.Outcome}); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		j, seen = open(t, dir)
		if len(seen) != 4 {
			t.Fatalf("cut at %d: %d records after one was added", n, len(seen))
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// H-029: a changed octet before the last record is found, and nothing goes on over it.
func TestDamageInsideRefusesToOpen(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, 3)
	path := filepath.Join(dir, fileName)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	j, _ := open(t, dir)
	last := j.places[len(j.places)-1]
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range last {
		bad := append([]byte(nil), text...)
		bad[i] ^= 0x40
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if j, err := Open(dir, t0, &told{}); err == nil {
			t.Fatalf("a changed octet at %d of %d went unseen; head %d", i, len(text), j.Head().Seq)
		}
	}
}

func TestASecondAgentIsRefused(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, dir)
	defer j.Close()
	if _, err := Open(dir, t0, &told{}); !errors.Is(err, ErrInUse) {
		t.Fatalf("a second agent opened the journal: %v", err)
	}
}

func TestRetiredJournalBeginsANewIncarnation(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, 2)
	j, _ := open(t, dir)
	first := j.Incarnation()
	if err := j.Retire(t0); err != nil {
		t.Fatal(err)
	}
	j, seen := open(t, dir)
	defer j.Close()
	if j.Incarnation() == first || len(seen) != 1 {
		t.Fatalf("incarnation %s after %s, %d records", j.Incarnation(), first, len(seen))
	}
}

func TestReadHandsOutTheChain(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, 10)
	j, _ := open(t, dir)
	defer j.Close()
	all, err := j.Read(1, 100, 1<<20)
	if err != nil || len(all) != 11 {
		t.Fatalf("%d records: %v", len(all), err)
	}
	if head, err := evidence.Verify(evidence.Head{}, all); err != nil || head != j.Head() {
		t.Fatalf("head %v, want %v: %v", head, j.Head(), err)
	}
	if some, err := j.Read(4, 3, 1<<20); err != nil || len(some) != 3 || string(some[0]) != string(all[3]) {
		t.Fatalf("records from 4: %d, %v", len(some), err)
	}
	if one, err := j.Read(4, 3, 1); err != nil || len(one) != 1 {
		t.Fatalf("with one octet: %d records, %v", len(one), err)
	}
}

// A failed write ends the journal: nothing is asked that cannot be recorded (H-013).
func TestAFailedWriteTakesNothingMore(t *testing.T) {
	j, _ := open(t, t.TempDir())
	if err := j.f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(evidence.Record{Kind: evidence.Started}); !errors.Is(err, ErrFailed) {
		t.Fatalf("a write to a closed file: %v", err)
	}
	if _, err := j.Append(evidence.Record{Kind: evidence.Started}); !errors.Is(err, ErrFailed) {
		t.Fatalf("the next write: %v", err)
	}
}

func FuzzScan(f *testing.F) {
	f.Add([]byte(header))
	for _, n := range []uint64{0, 2} { // whole, and trimmed
		dir := f.TempDir()
		j, err := Open(dir, t0, &told{})
		if err != nil {
			f.Fatal(err)
		}
		for range 3 {
			if _, err := j.Append(evidence.Record{At: t0, Kind: evidence.Started, Permit: "p"}); err != nil {
				f.Fatal(err)
			}
		}
		if n > 0 {
			if err := j.Trim(n, &told{}); err != nil {
				f.Fatal(err)
			}
		}
		if err := j.Close(); err != nil {
			f.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, fileName))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, fileName), b, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := Open(dir, t0, &told{})
		if err != nil {
			return
		}
		if _, err := j.Append(evidence.Record{At: t0, Kind: evidence.Started}); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
