package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sys/unix"

	"primum/safetylists/evidence"
)

// base is what stands before the first record of a file. Of a journal that was never trimmed it is empty.
type base struct {
	evidence.Head             // the last record that was trimmed: the first one here names its hash
	Incarnation   string      `json:"incarnation"`
	Edge          []tlog.Hash `json:"edge"` // of the Merkle tree over all records up to there

	tree evidence.Tree
	end  int64 // place of the first record
}

const (
	maxBase   = 16 << 10
	maxMemory = 1 << 30
)

// readBase reads the front of a file and gives the memory its checkpoint. A trimmed journal was whole before it got its
// name, so that nothing in its front is a torn tail.
func readBase(f io.ReaderAt, size int64, m Memory) (base, error) {
	got := make([]byte, len(header))
	if _, err := f.ReadAt(got, 0); err != nil && err != io.EOF {
		return base{}, err
	}
	at := int64(len(header))
	if string(got) == header {
		return base{end: at}, nil
	}
	if string(got) != trimmed {
		return base{}, fmt.Errorf("not a journal: %w", ErrDamaged)
	}
	part := func(most int64) ([]byte, error) {
		b, next, err := readFrame(f, at, size, most)
		if errors.Is(err, errTorn) {
			err = fmt.Errorf("checkpoint at octet %d: %w", at, ErrDamaged)
		}
		at = next
		return b, err
	}
	head, err := part(maxBase)
	if err != nil {
		return base{}, err
	}
	var b base
	d := json.NewDecoder(bytes.NewReader(head))
	d.DisallowUnknownFields()
	if err := d.Decode(&b); err != nil || b.Seq == 0 || b.Incarnation == "" {
		return base{}, fmt.Errorf("checkpoint: %w", ErrDamaged)
	}
	if b.tree, err = evidence.Regrow(b.Seq, b.Edge); err != nil {
		return base{}, fmt.Errorf("checkpoint: %w: %w", ErrDamaged, err)
	}
	memory, err := part(maxMemory)
	if err != nil {
		return base{}, err
	}
	b.end = at
	return b, m.Restore(memory)
}

// lock takes the file for this process. The name may have gone to another file since it was opened, by the trim of
// another agent: that agent has the lock on the file which now bears it.
func lock(f *os.File, path string) error {
	// What an agent was just starting when it was killed keeps the file for the moment until it is another program.
	const step, most = 20 * time.Millisecond, 25
	for n := 0; unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil; n++ {
		if n == most {
			return ErrInUse
		}
		time.Sleep(step)
	}
	is, err := f.Stat()
	if err != nil {
		return err
	}
	named, err := os.Stat(path)
	if err != nil || !os.SameFile(is, named) {
		return ErrInUse
	}
	return nil
}

// InUse reports whether an agent has the journal in dir open.
func InUse(dir string) bool {
	for range 10 { // a trim gives the name to another file
		path := filepath.Join(dir, fileName)
		f, err := os.Open(path)
		if err != nil {
			return false
		}
		free := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil
		is, err := f.Stat()
		named, nameErr := os.Stat(path)
		same := err == nil && nameErr == nil && os.SameFile(is, named)
		_ = f.Close() // it was only looked at
		if !free {
			return true
		}
		if same {
			return false
		}
	}
	return true
}
