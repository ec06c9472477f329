package confine

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// imageFD is the descriptor by which the plugin is executed. It lies above maxFiles: once that limit is
// in force and exec has closed it, no process can have such a descriptor again, so that the one execveat
// which the filter lets pass can succeed once.
const imageFD = 200

// Shim does nothing and returns false, unless this process was started to be confined. Then it confines
// itself and becomes the plugin; if that fails, it returns the exit code. It must come first in main:
//
//	if code, started := confine.Shim(); started {
//		os.Exit(code)
//	}
func Shim() (code int, started bool) {
	if len(os.Args) != 5 || os.Args[0] != mark {
		return 0, false
	}
	// The thread is what is confined and what executes: all of it ends with this process.
	runtime.LockOSThread()
	debug.SetGCPercent(-1) // nothing may need a new thread on the way
	threads, err := strconv.ParseUint(os.Args[3], 10, 32)
	if err == nil {
		err = become(Level(os.Args[1]), os.Args[2] == "try", threads, os.Args[4], os.Environ())
	}
	if err != nil {
		_ = say(said{Failed: err.Error()}, nil) // nobody to tell it to otherwise
		return 125, true
	}
	return 0, true
}

// become takes the steps. It returns when one of them failed, or when the tries are over.
func become(level Level, try bool, threads uint64, name string, env []string) error {
	// Prepared here, because little may be done once the limits and the filter are in force.
	argv, err := syscall.SlicePtrFromStrings([]string{name})
	if err != nil {
		return fmt.Errorf("name: %w", err)
	}
	envv, err := syscall.SlicePtrFromStrings(env)
	if err != nil {
		return fmt.Errorf("environment: %w", err)
	}
	empty := []byte{0}
	spaces := namespaces()

	// The signal is asked for by the thread that will execute; the agent's leave shows that it still lives.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("die with the agent: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("not dumpable: %w", err)
	}
	dir := fdDir
	switch level {
	case Full:
		if dir, err = emptyRoot(); err != nil {
			return err
		}
	case Fallback, None:
		if err := unix.Fchdir(dir); err != nil {
			return fmt.Errorf("go to the plugin's directory: %w", err)
		}
	default:
		return errors.New("the level is not proven")
	}
	if err := say(said{Ready: true, Namespaces: spaces}, unix.UnixRights(dir)); err != nil {
		return fmt.Errorf("tell the agent: %w", err)
	}
	if n, err := unix.Read(fdStatus, make([]byte, 1)); n != 1 || err != nil {
		return fmt.Errorf("the agent gave no leave: %w", errors.Join(err, ErrConfine))
	}
	var list *unix.SockFprog
	if level != None {
		prog, err := program(os.Getpid())
		if err != nil {
			return err
		}
		list = forKernel(prog)
	}
	if err := unix.Dup3(fdImage, imageFD, unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("hold image: %w", err)
	}
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close descriptors at exec: %w", err)
	}
	if err := dropPrivileges(); err != nil {
		return err
	}
	if level != None {
		if err := landlock(dir); err != nil {
			return fmt.Errorf("landlock (Linux 5.13 or newer, with landlock among its security modules): %w", err)
		}
	}
	if err := limit(threads); err != nil {
		return fmt.Errorf("limits: %w", err)
	}
	if level != None {
		if err := filter(list); err != nil {
			return fmt.Errorf("filter system calls: %w", err)
		}
	}
	if try {
		return tryAll(level)
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_EXECVEAT, imageFD, uintptr(unsafe.Pointer(&empty[0])),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envv[0])), unix.AT_EMPTY_PATH, 0)
	return fmt.Errorf("execute plugin (it must be one static file): %w", errno)
}
