package journal

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"primum/safetylists/evidence"
)

const insideNamespace = "PRIMUM_TEST_SMALL_DISK"

// smallDisk runs the test again in a mount namespace of its own, where it has a tmpfs of few octets; it returns
// its path there, and empty outside, where the test is over.
func smallDisk(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv(insideNamespace); dir != "" {
		if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=6m"); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), insideNamespace+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("on a small disk: %v\n%s", err, out)
	}
	return ""
}

// fill takes the space that is left.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 4096)
	for {
		if _, err := f.Write(b); errors.Is(err, unix.ENOSPC) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// A full disk begins nothing and loses nothing: what is under way comes to its end in the journal, and with space
// the agent goes on by itself.
func TestAFullDiskTakesNoNewWorkAndKeepsEveryOutcome(t *testing.T) {
	disk := smallDisk(t)
	if disk == "" {
		return
	}
	dir := filepath.Join(disk, "journal")
	j, _ := open(t, dir)
	j.spare = 1 << 20
	begin := func(n int) error {
		_, err := j.Append(evidence.Record{At: t0, Kind: evidence.Started, Permit: fmt.Sprint(n), Device: "d"})
		return err
	}
	if err := begin(1); err != nil {
		t.Fatal(err)
	}
	fill(t, filepath.Join(disk, "ballast"))
	begun := 1
	for ; begun < 1_000_000; begun++ { // into the room that was made for the first one
		if err := begin(begun + 1); errors.Is(err, ErrFull) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	before := j.Head()
	if err := begin(0); !errors.Is(err, ErrFull) || j.Head() != before || j.Failed() != nil {
		t.Fatalf("new work on a full disk: %v, head %v, failed %v", err, j.Head(), j.Failed())
	}
	if _, err := j.Append(evidence.Record{At: t0, Kind: evidence.Received, Order: "o"}); !errors.Is(err, ErrFull) {
		t.Errorf("a new order on a full disk: %v", err)
	}
	if j.Roomy() != (j.room-j.end > j.spare/2) || !j.Roomy() {
		t.Errorf("%d octets of a reserve of %d are left, and roomy says %v", j.room-j.end, j.spare, j.Roomy())
	}
	outcomes := 0
	for ; outcomes < 1000; outcomes++ {
		if _, err := j.Append(evidence.Record{At: t0, Kind: evidence.Outcome, Permit: fmt.Sprint(outcomes + 1), Result: &evidence.Result{State: evidence.Answered, Detail: strings.Repeat("x", 500)}}); err != nil {
			t.Fatalf("outcome %d on a full disk: %v", outcomes+1, err)
		}
	}
	if j.Roomy() {
		t.Errorf("after the outcomes %d octets of %d are left", j.room-j.end, j.spare)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	again, seen := open(t, dir)
	again.spare = 1 << 20
	defer again.Close()
	if again.Roomy() {
		t.Error("what the disk has given to an earlier life is not known")
	}
	if want := 1 + begun + outcomes; len(seen) != want {
		t.Errorf("%d records after the restart, want %d", len(seen), want)
	}
	j = again
	if err := begin(0); !errors.Is(err, ErrFull) {
		t.Errorf("new work after a restart on the full disk: %v", err)
	}
	if err := os.Remove(filepath.Join(disk, "ballast")); err != nil {
		t.Fatal(err)
	}
	if err := begin(0); err != nil {
		t.Errorf("new work with space again: %v", err)
	}
}

// A trim needs room for what stays and for the end of what is under way. Without it nothing is lost, and with it the
// trim is made.
func TestAFullDiskLeavesAJournalUntrimmedAndWhole(t *testing.T) {
	disk := smallDisk(t)
	if disk == "" {
		return
	}
	dir := filepath.Join(disk, "journal")
	j, _ := open(t, dir)
	j.spare = 1 << 20
	add(t, j, 2000)
	ballast := filepath.Join(disk, "ballast")
	fill(t, ballast)
	before, room, size := j.Head(), j.room, j.Size()
	if err := j.Trim(1000, &told{}); !errors.Is(err, ErrFull) {
		t.Fatalf("a trim on a full disk: %v", err)
	}
	left, err := os.OpenFile(ballast, os.O_WRONLY, 0) // space for what stays, and none for the end of what is under way
	if err != nil {
		t.Fatal(err)
	}
	st, err := left.Stat()
	if err == nil {
		err = errors.Join(left.Truncate(st.Size()-j.spare-(j.end-j.places[1000])-64<<10), left.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Trim(1000, &told{}); !errors.Is(err, ErrFull) {
		t.Fatalf("a trim that leaves no room for what is under way: %v", err)
	}
	fill(t, filepath.Join(disk, "more"))
	if j.Head() != before || j.room != room || j.Size() != size || j.First() != 1 || j.Failed() != nil {
		t.Errorf("after it: head %v, size %d, first %d, %v", j.Head(), j.Size(), j.First(), j.Failed())
	}
	if _, err := os.Stat(filepath.Join(dir, newName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the new file still takes space: %v", err)
	}
	if _, err := j.Append(evidence.Record{At: t0, Kind: evidence.Outcome, Permit: "p", Result: &evidence.Result{State: evidence.Answered}}); err != nil {
		t.Errorf("what is under way: %v", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := j.Trim(1000, &told{}); err != nil {
		t.Fatalf("with space again: %v", err)
	}
	if j.room-j.end < j.spare {
		t.Errorf("%d octets of room are left after a trim; work under way counts on %d", j.room-j.end, j.spare)
	}
	fill(t, ballast)
	for range 100 {
		if _, err := j.Append(evidence.Record{At: t0, Kind: evidence.Outcome, Permit: "p", Result: &evidence.Result{State: evidence.Answered, Detail: strings.Repeat("x", 5000)}}); err != nil {
			t.Fatalf("an outcome after a trim, on a full disk: %v", err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	again, seen := open(t, dir)
	defer again.Close()
	if want := 1 + 2000 + 1 + 100; len(seen) != want {
		t.Errorf("%d records after the restart, want %d", len(seen), want)
	}
}

// The disk gives blocks beyond the end of a journal, and gets them back when it is put aside: else each one would keep more than a hundred MiB.
func TestAJournalThatIsPutAsideKeepsNoReserve(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, dir)
	if _, err := j.Append(evidence.Record{At: t0, Kind: evidence.Received, Order: "o"}); err != nil {
		t.Fatal(err)
	}
	if err := j.Retire(t0); err != nil {
		t.Fatal(err)
	}
	paths, err := retired(dir)
	if err != nil || len(paths) != 1 {
		t.Fatal(paths, err)
	}
	var st unix.Stat_t
	if err := unix.Stat(paths[0], &st); err != nil || st.Blocks*512 > j.spare {
		t.Errorf("a journal of %d octets keeps %d: %v", st.Size, st.Blocks*512, err)
	}
	if err := ReplayRetired(dir, &told{}); err != nil {
		t.Error(err)
	}
}
