package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"primum/safetylists/evidence"
)

// Retire closes the journal and puts it aside, so that the next Open begins a new incarnation.
func (j *Journal) Retire(at time.Time) error {
	j.trimming.Lock() // a trim would put the journal back under its name
	defer j.trimming.Unlock()
	aside, err := nextAside(j.dir, at)
	if err != nil {
		return fmt.Errorf("put journal aside: %w", err)
	}
	j.giveBack()
	return errors.Join(os.Rename(filepath.Join(j.dir, fileName), aside), syncDir(j.dir), j.close())
}

const asideForm = "20060102T150405.000Z"

// nextAside names a journal that is put aside after all that were, whatever the clock says: a name that comes before
// another would have a checkpoint take what was told after it, and one that is there already would take its journal (H-018, H-042).
func nextAside(dir string, at time.Time) (string, error) {
	name := func(at time.Time) string {
		return filepath.Join(dir, "journal-"+at.UTC().Format(asideForm)+".retired")
	}
	paths, err := retired(dir)
	if err != nil || len(paths) == 0 || paths[len(paths)-1] < name(at) {
		return name(at), err
	}
	newest := filepath.Base(paths[len(paths)-1])
	is, err := time.Parse(asideForm, strings.TrimSuffix(strings.TrimPrefix(newest, "journal-"), ".retired"))
	if err != nil {
		return "", fmt.Errorf("%s is not the name of a journal that was put aside: %w", newest, err)
	}
	return name(is.Add(time.Millisecond)), nil
}

// retired lists the journals that were put aside, oldest first: the names are times.
func retired(dir string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "journal-*.retired"))
	slices.Sort(paths)
	return paths, err
}

// ReplayRetired replays the journals that were put aside in dir, oldest journal
// first. A device does not forget that it was asked because its journal was put aside (H-013). It fails
// with ErrDamaged when one of them is not whole.
func ReplayRetired(dir string, m Memory) error {
	paths, err := retired(dir)
	if err != nil {
		return fmt.Errorf("look for journals put aside: %w", err)
	}
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
