package sandbox

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// ErrHash says that the binary is not the one that was expected. Nothing was executed.
var ErrHash = errors.New("plugin binary has another hash than expected")

// maxBinary bounds what is read of a file that is not yet verified.
const maxBinary = 128 << 20

// Image is a verified binary as a memory file that nobody can change any more. Processes that run from one
// image share its memory. Close it when no more are to be started.
type Image struct {
	file *os.File
	sum  [sha256.Size]byte
}

// Close gives the image up; processes that run from it go on.
func (i *Image) Close() error { return i.file.Close() }

// Seal makes an image of a binary. The hash is taken after the seals are on, so that no moment lies between
// check and use (B6). An error wraps ErrHash when the binary is another one.
func Seal(path string, want [sha256.Size]byte) (*Image, error) {
	f, err := sealed(path, want)
	if err != nil {
		return nil, err
	}
	return &Image{f, want}, nil
}

func sealed(path string, want [sha256.Size]byte) (_ *os.File, err error) {
	if want == ([sha256.Size]byte{}) {
		return nil, fmt.Errorf("%w: no hash is expected, so that nothing can match", ErrHash)
	}
	src, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open plugin binary: %w", err)
	}
	defer src.Close()
	fd, err := memfd()
	if err != nil {
		return nil, fmt.Errorf("create memory file: %w", err)
	}
	mem := os.NewFile(uintptr(fd), "plugin")
	defer func() {
		if err != nil {
			_ = mem.Close()
		}
	}()
	n, err := io.Copy(mem, io.LimitReader(src, maxBinary+1))
	if err != nil {
		return nil, fmt.Errorf("copy plugin binary: %w", err)
	}
	if n > maxBinary {
		return nil, fmt.Errorf("copy plugin binary: more than %d octets", maxBinary)
	}
	// Who cannot read the image cannot have the process dumped or traced (prctl(2), PR_SET_DUMPABLE).
	if err := mem.Chmod(0o111); err != nil {
		return nil, fmt.Errorf("make plugin binary unreadable: %w", err)
	}
	if _, err := unix.FcntlInt(mem.Fd(), unix.F_ADD_SEALS,
		unix.F_SEAL_WRITE|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
		return nil, fmt.Errorf("seal plugin binary: %w", err)
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(mem, 0, n)); err != nil {
		return nil, fmt.Errorf("hash plugin binary: %w", err)
	}
	got := h.Sum(nil)
	if subtle.ConstantTimeCompare(got, want[:]) != 1 {
		return nil, fmt.Errorf("%w: it is %x", ErrHash, got)
	}
	return mem, nil
}

func memfd() (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("primum-probe", flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3 every memory file could be executed
		return unix.MemfdCreate("primum-probe", flags)
	}
	return fd, err
}
