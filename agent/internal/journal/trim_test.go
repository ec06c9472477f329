package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"primum/safetylists/evidence"
)

func add(t testing.TB, j *Journal, n int) {
	t.Helper()
	for range n {
		if _, err := j.Append(evidence.Record{At: t0, Kind: evidence.Started, Permit: fmt.Sprint("p", j.Head().Seq), Device: "d"}); err != nil {
			t.Fatal(err)
		}
	}
}

// spoil puts a pipe in the place of the file that this process has open: it takes no write at a place, and no sync.
func spoil(t *testing.T, path string) {
	t.Helper()
	want, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for fd := range 1024 {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil && st.Ino == want.Sys().(*syscall.Stat_t).Ino && st.Dev == want.Sys().(*syscall.Stat_t).Dev {
			var pipe [2]int
			if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(unix.Dup3(pipe[0], fd, unix.O_CLOEXEC), unix.Close(pipe[0]), unix.Close(pipe[1])); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("%s is not open", path)
}

func numbers(records []evidence.Record) (all []uint64) {
	for _, r := range records {
		all = append(all, r.Seq)
	}
	return all
}

// H-029, H-042: wherever a journal is trimmed, and however often, chain, tree and memory are those of the whole one.
func TestATrimmedJournalGoesOnAsTheWholeOne(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		j, _ := open(t, dir)
		defer func() { j.Close() }()
		var whole [][]byte
		var tree evidence.Tree
		for range rapid.IntRange(1, 6).Draw(rt, "steps") {
			add(t, j, rapid.IntRange(0, 9).Draw(rt, "added"))
			fresh, err := j.Read(uint64(len(whole))+1, 1000, 1<<20)
			if err != nil {
				rt.Fatal(err)
			}
			for _, b := range fresh {
				whole = append(whole, b)
				tree.Add(b)
			}
			if first, last := j.First(), j.Head().Seq; rapid.Bool().Draw(rt, "trim") && first <= last {
				upTo := rapid.Uint64Range(first, last).Draw(rt, "up to")
				if err := j.Trim(upTo, &told{}); err != nil {
					rt.Fatal(err)
				}
				if j.First() != upTo+1 {
					rt.Fatalf("trimmed up to %d: the first is %d", upTo, j.First())
				}
				if _, err := j.Read(upTo, 1, 1<<20); !errors.Is(err, ErrTrimmed) {
					rt.Fatalf("record %d, which was trimmed: %v", upTo, err)
				}
			}
			if rapid.Bool().Draw(rt, "restart") {
				if err := j.Close(); err != nil {
					rt.Fatal(err)
				}
				was, incarnation := j.First(), j.Incarnation()
				var m told
				if j, err = Open(dir, t0, &m); err != nil {
					rt.Fatal(err)
				}
				j.spare = 64 << 10
				if j.First() != was || j.Incarnation() != incarnation || len(m.records) != len(whole) || !slices.IsSorted(numbers(m.records)) {
					rt.Fatalf("after a restart: first %d, was %d; remembers %v of %d", j.First(), was, numbers(m.records), len(whole))
				}
			}
		}
		got := j.Tree()
		if !slices.Equal(got.Edge(), tree.Edge()) || got.Size() != tree.Size() {
			rt.Fatal("the tree is another one")
		}
		if head, err := evidence.Verify(evidence.Head{}, whole); err != nil || head != j.Head() {
			rt.Fatalf("the chain ends at %v, the journal at %v: %v", head, j.Head(), err)
		}
		rest, err := j.Read(j.First(), 1000, 1<<20)
		if err != nil || len(rest) != len(whole)-int(j.First())+1 {
			rt.Fatalf("%d records from %d on: %v", len(rest), j.First(), err)
		}
		for i, b := range rest {
			if !bytes.Equal(b, whole[int(j.First())-1+i]) {
				rt.Fatalf("record %d is another one", int(j.First())+i)
			}
		}
	})
}

// H-013, H-042: a crash at any step of a trim leaves the old journal or the new one, and nothing of a memory is lost. What
// was not synced may be there, in part or not at all.
func TestACrashAtAnyStepOfATrimLosesNothing(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, dir)
	defer j.Close()
	add(t, j, 20)
	old, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	want := j.Head()
	crashes := 0
	survives := func(what string, files map[string][]byte) {
		t.Helper()
		crashes++
		crashed := t.TempDir()
		for name, b := range files {
			if err := os.WriteFile(filepath.Join(crashed, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		again, seen := open(t, crashed)
		defer again.Close()
		if again.Head() != want || len(seen) != int(want.Seq) {
			t.Errorf("%s: head %v, want %v; %d records are remembered", what, again.Head(), want, len(seen))
		}
		add(t, again, 1)
		if _, err := os.Stat(filepath.Join(crashed, newName)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: what was left of the trim is still there: %v", what, err)
		}
		if err := again.Trim(9, &told{}); err != nil {
			t.Errorf("%s: the next trim: %v", what, err)
		}
	}
	var steps []string
	j.step = func(step string) {
		steps = append(steps, step)
		files := map[string][]byte{}
		for _, name := range []string{fileName, newName} {
			if b, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
				files[name] = b
			}
		}
		survives("killed before "+step, files)
		if fresh := files[newName]; step == "rename" {
			for n := 0; n <= len(fresh); n += 1 + len(fresh)/50 {
				survives(fmt.Sprintf("%d octets of the new file are on disk", n), map[string][]byte{fileName: old, newName: fresh[:n]})
			}
			survives("zeros", map[string][]byte{fileName: old, newName: make([]byte, len(fresh))})
		}
		if step == "sync directory" {
			survives("the directory had the old name", map[string][]byte{fileName: old})
		}
	}
	if err := j.Trim(7, &told{}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(steps, ", "); got != "create, write checkpoint, copy records, sync, copy what was added, sync what was added, rename, sync directory, done" {
		t.Errorf("the steps are %s", got)
	}
	t.Logf("%d crashes", crashes)
}

// What fails at a step of a trim is said, and the journal goes on with the old file, or takes nothing more.
func TestAFailedTrimLeavesTheJournalWhole(t *testing.T) {
	for _, step := range []string{"write checkpoint", "copy records", "sync", "copy what was added", "sync what was added", "rename"} {
		dir := t.TempDir()
		j, _ := open(t, dir)
		add(t, j, 20)
		j.step = func(at string) {
			if at != step {
				return
			}
			if step == "rename" {
				if err := os.Remove(filepath.Join(dir, newName)); err != nil {
					t.Fatal(err)
				}
				return
			}
			spoil(t, filepath.Join(dir, newName))
		}
		before, size := j.Head(), j.Size()
		if err := j.Trim(7, &told{}); err == nil {
			t.Errorf("%s failed, and the trim did not", step)
		}
		if j.Head() != before || j.Size() != size || j.First() != 1 || j.Failed() != nil {
			t.Errorf("%s failed: head %v, size %d, first %d, %v", step, j.Head(), j.Size(), j.First(), j.Failed())
		}
		j.step = func(string) {}
		add(t, j, 1)
		if err := j.Trim(7, &told{}); err != nil {
			t.Errorf("after %s failed: %v", step, err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if _, seen := open(t, dir); len(seen) != 22 {
			t.Errorf("after %s failed: %d records", step, len(seen))
		}
	}
}

// H-013: at every moment of a trim one agent alone has the journal.
func TestASecondAgentIsRefusedAtEveryStepOfATrim(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, dir)
	add(t, j, 20)
	early, err := os.Open(filepath.Join(dir, fileName)) // by an agent that locks it only after the trim
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	steps := 0
	j.step = func(step string) {
		steps++
		if _, err := Open(dir, t0, &told{}); !errors.Is(err, ErrInUse) {
			t.Errorf("a second agent before %s: %v", step, err)
		}
		if !InUse(dir) {
			t.Errorf("before %s nobody seems to have the journal", step)
		}
	}
	if err := j.Trim(7, &told{}); err != nil || steps == 0 {
		t.Fatalf("%d steps: %v", steps, err)
	}
	if err := lock(early, filepath.Join(dir, fileName)); !errors.Is(err, ErrInUse) {
		t.Errorf("an agent that has opened the old file: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if InUse(dir) {
		t.Error("a closed journal seems to be in use")
	}
}

func TestRecordsThatAreAddedWhileAJournalIsTrimmedAreInIt(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, dir)
	add(t, j, 200)
	stop := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				add(t, j, 1)
			}
		}
	})
	others.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if got, err := j.Read(j.First(), 10, 1<<20); err != nil && !errors.Is(err, ErrTrimmed) || err == nil && len(got) == 0 {
				t.Errorf("read while it is trimmed: %d records, %v", len(got), err)
				return
			}
		}
	})
	for i := range 20 {
		if err := j.Trim(uint64(10*i+5), &told{}); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	others.Wait()
	want := j.Head()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	again, seen := open(t, dir)
	defer again.Close()
	if again.Head() != want || len(seen) != int(want.Seq) {
		t.Errorf("head %v, want %v, %d records are remembered", again.Head(), want, len(seen))
	}
}

// H-029: no octet of a checkpoint changes unseen.
func TestDamageInACheckpointRefusesToOpen(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, dir)
	add(t, j, 5)
	if err := j.Trim(3, &told{}); err != nil {
		t.Fatal(err)
	}
	last := j.places[len(j.places)-1]
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, fileName)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range last {
		bad := bytes.Clone(text)
		bad[i] ^= 0x40
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if j, err := Open(dir, t0, &told{}); err == nil {
			t.Fatalf("a changed octet at %d of %d went unseen; head %d", i, len(text), j.Head().Seq)
		}
	}
	for i := len(header); i < int(j.base.end); i++ {
		if err := os.WriteFile(path, text[:i], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, t0, &told{}); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut to %d octets: %v", i, err)
		}
	}
}

// What no controller has acknowledged never goes, and neither does half of the limit.
func TestOnlyAcknowledgedRecordsAreDue(t *testing.T) {
	j, _ := open(t, t.TempDir())
	defer j.Close()
	add(t, j, 400)
	limit := j.Size() / 2
	for _, acked := range []uint64{0, 1, 100, 150} {
		if n := j.Due(acked, limit); n != 0 {
			t.Errorf("%d acknowledged: %d are due, and would have the larger part written anew", acked, n)
		}
	}
	if n := j.Due(1<<60, 2*j.Size()); n != 0 {
		t.Errorf("below the limit %d are due", n)
	}
	if n := j.Due(250, limit); n != 250 {
		t.Errorf("250 acknowledged: %d are due", n)
	}
	n := j.Due(1<<60, limit)
	if n < 250 || n >= j.Head().Seq {
		t.Fatalf("all acknowledged: %d are due", n)
	}
	if err := j.Trim(n, &told{}); err != nil {
		t.Fatal(err)
	}
	if kept := j.end - j.base.end; kept < limit/2 || kept > limit/2+1000 {
		t.Errorf("%d octets are kept of a limit of %d", kept, limit)
	}
	if n := j.Due(1<<60, limit); n != 0 {
		t.Errorf("at once %d are due again", n)
	}
}

// A journal that is put aside while it is trimmed is put aside once, whole, and does not come back under its name.
func TestAJournalIsPutAsideOnlyAfterItsTrim(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, dir)
	add(t, j, 20)
	incarnation := j.Incarnation()
	aside := make(chan error, 1)
	j.step = func(step string) {
		switch step {
		case "create":
			go func() { aside <- j.Retire(t0) }()
		case "rename":
			select {
			case err := <-aside:
				t.Errorf("it was put aside in the middle of a trim: %v", err)
			default:
			}
		}
	}
	if err := j.Trim(7, &told{}); err != nil {
		t.Fatal(err)
	}
	if err := <-aside; err != nil {
		t.Fatal(err)
	}
	if err := j.Trim(9, &told{}); !errors.Is(err, ErrFailed) {
		t.Errorf("a trim of a journal that was put aside: %v", err)
	}
	var m told
	if err := ReplayRetired(dir, &m); err != nil || len(m.records) != 21 {
		t.Errorf("the one that was put aside has %d records: %v", len(m.records), err)
	}
	next, seen := open(t, dir)
	defer next.Close()
	if next.Incarnation() == incarnation || len(seen) != 1 || next.First() != 1 {
		t.Errorf("the next journal is %s, with %d records from %d on", next.Incarnation(), len(seen), next.First())
	}
}

// H-018, H-042: a clock that was set back between two journals neither lets the checkpoint of the older one take the records of the
// newer, nor lets one file take the other's name.
func TestJournalsPutAsideKeepTheirOrderWhateverTheClockSays(t *testing.T) {
	for name, second := range map[string]time.Time{"set back": t0.Add(-time.Hour), "the same moment": t0, "later": t0.Add(time.Hour)} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			j, _ := open(t, dir)
			add(t, j, 20)
			if err := j.Trim(7, &told{}); err != nil {
				t.Fatal(err)
			}
			if err := j.Retire(t0); err != nil {
				t.Fatal(err)
			}
			j, _ = open(t, dir)
			add(t, j, 3)
			newer := j.Incarnation()
			if err := j.Retire(second); err != nil {
				t.Fatal(err)
			}
			var m told
			if err := ReplayRetired(dir, &m); err != nil {
				t.Fatal(err)
			}
			if len(m.records) != 25 || m.records[21].Incarnation != newer {
				t.Errorf("%d of 25 records are remembered, the newer journal's last", len(m.records))
			}
		})
	}
}
