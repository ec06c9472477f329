package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"

	"golang.org/x/sys/unix"

	"primum/safetylists/evidence"
)

// Forgetful is a memory that can say what it needs in place of the records that it was told.
type Forgetful interface {
	Memory
	Checkpoint() ([]byte, error)
}

// Due returns the number up to which records may go, 0 while none has to: the records here are more than limit, and those
// that a controller has acknowledged are worth the writing of the others anew. Half of the limit stays though it was
// acknowledged, so that a controller which was restored from a backup of yesterday is given what it has lost.
func (j *Journal) Due(acknowledged uint64, limit int64) uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed != nil || j.end-j.base.end <= limit {
		return 0
	}
	may := min(acknowledged, j.head.Seq)
	if may <= j.base.Seq {
		return 0
	}
	n := min(may-j.base.Seq, uint64(sort.Search(len(j.places), func(i int) bool { return j.after(i) > j.end-limit/2 })))
	if n == 0 || j.after(int(n)-1)-j.base.end < j.end-j.after(int(n)-1) {
		return 0
	}
	return j.base.Seq + n
}

// after is the place behind the i-th record here. The caller holds j.mu.
func (j *Journal) after(i int) int64 {
	if i+1 < len(j.places) {
		return j.places[i+1]
	}
	return j.end
}

// Trim takes the records up to a number out of the file. In their place stands a checkpoint: the end of the chain and the edge
// of the tree, so that both go on unbroken, and what m remembers of them. m has been told of the journals put aside,
// and of nothing else. Whenever it ends, by an error or a crash, the old file or the new one is there and whole; after
// an error the journal goes on, unless Failed says otherwise. With no room for the new file it fails with ErrFull.
func (j *Journal) Trim(upTo uint64, m Forgetful) error {
	j.trimming.Lock()
	defer j.trimming.Unlock()
	t, err := j.begin(upTo)
	if err != nil {
		return fmt.Errorf("trim journal: %w", err)
	}
	if err = t.fits(); err == nil {
		err = t.write(m)
	}
	if err == nil {
		err = t.swap()
	}
	if err != nil {
		if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
			err = ErrFull
		}
		return errors.Join(fmt.Errorf("trim journal: %w", err), t.drop())
	}
	j.files.Lock() // whoever still reads the old file reads it to the end
	defer j.files.Unlock()
	return t.old.Close()
}

// trim is one that is under way.
type trim struct {
	j        *Journal
	old, new *os.File
	base     base
	from     int64 // place in the old file of the first record that stays
	copied   int64 // place in the old file up to which it is in the new one
	end      int64 // of the new file
	room     int64
	renamed  bool
}

func (j *Journal) begin(upTo uint64) (*trim, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed != nil {
		return nil, j.failed
	}
	if upTo <= j.base.Seq || upTo > j.head.Seq {
		return nil, fmt.Errorf("record %d is not here", upTo)
	}
	from := j.after(int(upTo-j.base.Seq) - 1)
	return &trim{j: j, old: j.f, base: base{Head: evidence.Head{Seq: upTo}, Incarnation: j.incarnation}, from: from, copied: j.end}, nil
}

// fits looks whether there is space for what stays, before anything is read: a full disk is tried again and again.
func (t *trim) fits() error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(t.old.Fd()), &st); err != nil {
		return fmt.Errorf("look for room: %w", err)
	}
	if int64(st.Bavail)*int64(st.Bsize) < t.copied-t.from+t.j.spare {
		return unix.ENOSPC
	}
	return nil
}

// write makes the new file, without its name. The old one may grow meanwhile.
func (t *trim) write(m Forgetful) error {
	b, err := readBase(t.old, t.from, m)
	if err != nil {
		return err
	}
	tree := b.tree
	end, head, err := scan(t.old, b.end, t.from, b.Head, func(_ int64, raw []byte, r evidence.Record) {
		tree.Add(raw)
		m.Replay(r)
	})
	if err != nil {
		return err
	}
	if end != t.from || head.Seq != t.base.Seq {
		return fmt.Errorf("record %d is not where it was: %w", t.base.Seq, ErrDamaged)
	}
	t.base.Head, t.base.tree, t.base.Edge = head, tree, tree.Edge()
	memory, err := m.Checkpoint()
	if err != nil {
		return err
	}
	if len(memory) > maxMemory {
		return fmt.Errorf("the checkpoint has %d octets; at most %d", len(memory), maxMemory)
	}
	front, err := json.Marshal(t.base)
	if err != nil {
		return err
	}
	t.j.step("create")
	if t.new, err = os.OpenFile(filepath.Join(t.j.dir, newName), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
		return err
	}
	// before it has the name: from then on whoever opens the journal finds it locked
	if err := unix.Flock(int(t.new.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("lock the new file: %w", err)
	}
	t.j.step("write checkpoint")
	out := appendFrame(appendFrame([]byte(trimmed), front), memory)
	if _, err := t.new.WriteAt(out, 0); err != nil {
		return err
	}
	t.base.end = int64(len(out))
	t.end = t.base.end
	t.j.step("copy records")
	if err := t.copy(t.from, t.copied); err != nil {
		return err
	}
	t.j.step("sync")
	return t.new.Sync()
}

// copy takes a part of the old file over.
func (t *trim) copy(from, to int64) error {
	n, err := io.Copy(io.NewOffsetWriter(t.new, t.end), io.NewSectionReader(t.old, from, to-from))
	t.end += n
	if err == nil && n != to-from {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// swap gives the new file the name, with what was added since and with the room that work under way may count on.
func (t *trim) swap() error {
	j := t.j
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed != nil {
		return j.failed
	}
	j.step("copy what was added")
	if err := t.copy(t.copied, j.end); err != nil {
		return err
	}
	if j.room > j.end {
		got, err := roomBeyond(t.new, t.end, j.spare)
		if err != nil {
			return err
		}
		t.room = got
	}
	j.step("sync what was added")
	if err := t.new.Sync(); err != nil {
		return err
	}
	j.step("rename")
	if err := os.Rename(filepath.Join(j.dir, newName), filepath.Join(j.dir, fileName)); err != nil {
		return err
	}
	t.renamed = true
	j.step("sync directory")
	by := t.base.end - t.from
	places := append([]int64(nil), j.places[t.base.Seq-j.base.Seq:]...)
	for i := range places {
		places[i] += by
	}
	j.f, j.base, j.places, j.end, j.room = t.new, t.base, places, t.end, t.room
	if err := syncDir(j.dir); err != nil {
		j.failed = fmt.Errorf("%w: %w", ErrFailed, err)
		return j.failed
	}
	j.step("done")
	return nil
}

// drop lets the new file go, or the old one when the name has gone to the new one.
func (t *trim) drop() error {
	switch {
	case t.renamed:
		t.j.files.Lock()
		defer t.j.files.Unlock()
		return t.old.Close()
	case t.new == nil:
		return nil
	}
	return errors.Join(os.Remove(filepath.Join(t.j.dir, newName)), t.new.Close())
}
