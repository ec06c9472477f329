package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Again writes the journal in dir over itself, octet by octet, and waits for the disk. It is for a journal that has
// failed, before it is opened anew: the kernel takes the pages of a failed fsync for written, so that what is read from
// them may be on no disk. The same octets at the same place harm nothing wherever a crash ends it.
func Again(dir string) error {
	path := filepath.Join(dir, fileName)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("write journal again: %w", err)
	}
	err = lock(f, path)
	buf := make([]byte, 1<<20)
	for at := int64(0); err == nil; {
		var n int
		n, err = f.ReadAt(buf, at)
		if err != nil && !errors.Is(err, io.EOF) {
			break
		}
		if n == 0 {
			err = nil
			break
		}
		if _, err = f.WriteAt(buf[:n], at); err == nil {
			at += int64(n)
		}
	}
	if err == nil {
		err = errors.Join(f.Sync(), syncDir(dir))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write journal again: %w", err)
	}
	return nil
}
