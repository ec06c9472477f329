package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"primum/safetylists/evidence"
)

// Retire closes the journal and puts it aside, so that the next Open begins a new incarnation.
func (j *Journal) Retire(at time.Time) error {
	j.trimming.Lock() // a trim would put the journal back under its name
	defer j.trimming.Unlock()
	aside := filepath.Join(j.dir, fmt.Sprintf("journal-%s.retired", at.UTC().Format("20060102T150405.000Z")))
	return errors.Join(os.Rename(filepath.Join(j.dir, fileName), aside), syncDir(j.dir), j.close())
}

// ReplayRetired replays the journals that were put aside in dir, oldest journal
// first. A device does not forget that it was asked because its journal was put aside (H-013). It fails
// with ErrDamaged when one of them is not whole.
func ReplayRetired(dir string, m Memory) error {
	paths, err := filepath.Glob(filepath.Join(dir, "journal-*.retired"))
	if err != nil {
		return fmt.Errorf("look for journals put aside: %w", err)
	}
	slices.Sort(paths) // the names are times
	for _, path := range paths {
		if err := replayOne(path, m); err != nil {
			return fmt.Errorf("read journal put aside %s: %w", path, err)
		}
	}
	return nil
}

func replayOne(path string, m Memory) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	b, err := readBase(f, st.Size(), m)
	if err != nil {
		return err
	}
	_, _, err = scan(f, b.end, st.Size(), b.Head, func(_ int64, _ []byte, r evidence.Record) { m.Replay(r) })
	return err
}
