package journal

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrFull says that the disk has no room for new work and how it ends. The journal goes on: what is under way is
// written into blocks that the disk has given already, and new work is taken as soon as there is space.
var ErrFull = errors.New("the disk of the agent's data directory is full: no new work before there is space on it")

// reserve is what has to be there before work is begun (CONTROL-PLANE 4.7): the messages and outcomes of every
// conversation that may be under way, and the end of every question that waits.
const reserve = 64 << 20

// makeRoom has the disk give blocks beyond the end, without making the file longer. A journal on a file system
// that cannot do that is told by its free space instead. The caller holds j.mu.
func (j *Journal) makeRoom() error {
	if j.room-j.end >= j.spare {
		return nil
	}
	room, err := roomBeyond(j.f, j.end, j.spare)
	switch {
	case err == nil:
		j.room = room
		return nil
	case errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT):
		return ErrFull
	}
	j.failed = fmt.Errorf("%w: make room: %w", ErrFailed, err)
	return j.failed
}

// giveBack gives the blocks beyond the end back to the disk: what is put aside takes no new work. One that the disk keeps all the same
// is only lost space.
func (j *Journal) giveBack() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if st, err := j.f.Stat(); err == nil {
		_ = j.f.Truncate(st.Size())
	}
	j.room = 0
}

// roomBeyond has the disk give spare octets beyond the end of a file, or twice as many, and returns the place up to which it
// has. Where it only knows that there is space, that is 0.
func roomBeyond(f *os.File, end, spare int64) (int64, error) {
	want := 2 * spare
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, end, want)
	if errors.Is(err, unix.ENOSPC) {
		want = spare
		err = unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, end, want)
	}
	if err == nil {
		return end + want, nil
	}
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENOSYS) {
		return 0, err
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return 0, fmt.Errorf("look for room: %w", err)
	}
	if int64(st.Bavail)*int64(st.Bsize) < want {
		return 0, unix.ENOSPC
	}
	return 0, nil
}

// Roomy reports whether more than half of the reserve is left, as far as this life of the journal has had it from the disk. New work
// that the full disk cannot take is then refused in writing; with less, what is left is for the end of what is under way.
func (j *Journal) Roomy() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failed == nil && j.room-j.end > j.spare/2
}
